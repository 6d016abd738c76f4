-- What the service looked like minute by minute, for charts: whole minutes since 1970.
CREATE TABLE status_samples (
    minute INTEGER PRIMARY KEY,
    pending INTEGER NOT NULL,
    oldest_pending_age_s INTEGER,
    uploaded INTEGER NOT NULL,
    offline_s INTEGER NOT NULL
);
