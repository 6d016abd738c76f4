-- What is this service's own.

-- One row for every batch on its way. The body comes last, so that reading the rest does not touch its pages.
CREATE TABLE upload_manifests (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT UNIQUE NOT NULL,
    root TEXT NOT NULL,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    failed_passes INTEGER NOT NULL,
    last_error TEXT,
    last_status INTEGER,
    claimed_at TIMESTAMP NOT NULL,
    reading_count INTEGER NOT NULL,
    reading_ids TEXT NOT NULL,
    body BLOB NOT NULL
);

-- The reading's fields are texts, for they may be what is wrong.
CREATE TABLE quarantined_readings (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    reading_id INTEGER NOT NULL,
    meter_external_id TEXT,
    timestamp TEXT,
    data_point TEXT,
    value TEXT,
    unit TEXT,
    retry_count INTEGER NOT NULL,
    reading_created_at TEXT,
    reason TEXT NOT NULL,
    status INTEGER,
    message TEXT NOT NULL,
    idempotency_key TEXT,
    quarantined_at TIMESTAMP NOT NULL
);

-- What the audit keeps of an entry.
CREATE VIEW quarantine_contents AS
SELECT
    id,
    json_object(
        'reading_id', reading_id,
        'meter_external_id', meter_external_id,
        'timestamp', timestamp,
        'data_point', data_point,
        'value', value,
        'unit', unit,
        'reason', reason
    ) AS contents
FROM quarantined_readings;

CREATE TABLE quarantine_audit (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    quarantine_id INTEGER NOT NULL,
    action TEXT NOT NULL CHECK (action IN ('quarantined', 'requeued', 'corrected', 'discarded')),
    details TEXT NOT NULL,
    at TIMESTAMP NOT NULL
);

CREATE TABLE service_facts (
    name TEXT PRIMARY KEY NOT NULL,
    value TEXT NOT NULL,
    updated_at TIMESTAMP NOT NULL DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now'))
) WITHOUT ROWID;

CREATE TABLE ingestion_keys (
    key TEXT PRIMARY KEY NOT NULL,
    readings INTEGER NOT NULL,
    fingerprint TEXT NOT NULL,
    created_at TIMESTAMP NOT NULL
) WITHOUT ROWID;
