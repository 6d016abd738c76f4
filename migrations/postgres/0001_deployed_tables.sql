-- The tables of deployed sites, as the Meter Collection Service knows them. Where they exist they stay as they are,
-- but for one more column. Times are naive UTC.
CREATE TABLE IF NOT EXISTS meters (
    id BIGSERIAL PRIMARY KEY,
    external_id VARCHAR(255) UNIQUE NOT NULL,
    name VARCHAR(255) NOT NULL,
    bacnet_device_id INTEGER,
    bacnet_ip VARCHAR(45),
    config JSONB,
    last_reading_at TIMESTAMP,
    is_active BOOLEAN DEFAULT TRUE,
    created_at TIMESTAMP DEFAULT (now() AT TIME ZONE 'UTC'),
    updated_at TIMESTAMP DEFAULT (now() AT TIME ZONE 'UTC')
);

CREATE TABLE IF NOT EXISTS meter_readings (
    id BIGSERIAL PRIMARY KEY,
    meter_external_id VARCHAR(255) NOT NULL,
    timestamp TIMESTAMP NOT NULL,
    data_point VARCHAR(100) NOT NULL,
    value NUMERIC(15, 3) NOT NULL,
    unit VARCHAR(50),
    is_synchronized BOOLEAN DEFAULT FALSE,
    retry_count INTEGER DEFAULT 0,
    created_at TIMESTAMP DEFAULT (now() AT TIME ZONE 'UTC')
);

CREATE TABLE IF NOT EXISTS sync_log (
    id BIGSERIAL PRIMARY KEY,
    batch_size INTEGER NOT NULL,
    success BOOLEAN NOT NULL,
    error_message TEXT,
    synced_at TIMESTAMP DEFAULT (now() AT TIME ZONE 'UTC')
);

ALTER TABLE meter_readings ADD COLUMN IF NOT EXISTS synchronized_at TIMESTAMP;
