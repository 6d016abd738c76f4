-- What the service looked like minute by minute, for charts: whole minutes since 1970.
CREATE TABLE status_samples (
    minute BIGINT PRIMARY KEY,
    pending BIGINT NOT NULL,
    oldest_pending_age_s BIGINT,
    uploaded BIGINT NOT NULL,
    offline_s BIGINT NOT NULL
);
