-- Several instances may tell of the same minute, each of its own uploads.
INSERT INTO status_samples (minute, pending, oldest_pending_age_s, uploaded, offline_s)
VALUES (?1, ?2, ?3, ?4, ?5)
ON CONFLICT (minute) DO UPDATE SET
    pending = excluded.pending,
    oldest_pending_age_s = excluded.oldest_pending_age_s,
    uploaded = status_samples.uploaded + excluded.uploaded,
    offline_s = max(status_samples.offline_s, excluded.offline_s)
