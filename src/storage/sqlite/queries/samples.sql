SELECT minute, pending, oldest_pending_age_s, uploaded, offline_s
FROM status_samples
WHERE minute >= ?1 AND minute < ?2
ORDER BY minute
