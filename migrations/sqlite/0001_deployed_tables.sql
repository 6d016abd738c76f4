-- The tables of deployed sites, as the Meter Collection Service knows them. Where they exist, they were brought
-- up to this shape before this file runs. Times are naive UTC; NUMERIC keeps 15 significant digits exactly.
CREATE TABLE IF NOT EXISTS meters (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    external_id VARCHAR(255) UNIQUE NOT NULL,
    name VARCHAR(255) NOT NULL,
    bacnet_device_id INTEGER,
    bacnet_ip VARCHAR(45),
    config JSONB,
    last_reading_at TIMESTAMP,
    is_active BOOLEAN DEFAULT TRUE,
    created_at TIMESTAMP DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now')),
    updated_at TIMESTAMP DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now'))
);

-- AUTOINCREMENT: an id on record in a manifest must never come to mean another reading.
CREATE TABLE IF NOT EXISTS meter_readings (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    meter_external_id VARCHAR(255) NOT NULL,
    timestamp TIMESTAMP NOT NULL,
    data_point VARCHAR(100) NOT NULL,
    value NUMERIC(15, 3) NOT NULL,
    unit VARCHAR(50),
    is_synchronized BOOLEAN DEFAULT FALSE,
    retry_count INTEGER DEFAULT 0,
    created_at TIMESTAMP DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now')),
    synchronized_at TIMESTAMP
);

CREATE TABLE IF NOT EXISTS sync_log (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    batch_size INTEGER NOT NULL,
    success BOOLEAN NOT NULL,
    error_message TEXT,
    synced_at TIMESTAMP DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now'))
);
