-- What the deployed migrations have made: serial keys, times without zone, three indexes on the queue.
CREATE TABLE meters (
    id serial PRIMARY KEY, external_id varchar(255) UNIQUE NOT NULL, name varchar(255) NOT NULL,
    bacnet_device_id integer, bacnet_ip varchar(45), config jsonb, last_reading_at timestamp,
    is_active boolean DEFAULT true, created_at timestamp DEFAULT now(), updated_at timestamp DEFAULT now());
CREATE TABLE meter_readings (
    id serial PRIMARY KEY, meter_external_id varchar(255) NOT NULL, timestamp timestamp NOT NULL,
    data_point varchar(100) NOT NULL, value numeric(15, 3) NOT NULL, unit varchar(50),
    is_synchronized boolean DEFAULT false, retry_count integer DEFAULT 0, created_at timestamp DEFAULT now());
CREATE TABLE sync_log (
    id serial PRIMARY KEY, batch_size integer NOT NULL, success boolean NOT NULL, error_message text,
    synced_at timestamp DEFAULT now());
CREATE INDEX idx_meter_readings_is_synchronized ON meter_readings (is_synchronized);
CREATE INDEX idx_meter_readings_timestamp ON meter_readings (timestamp);
CREATE INDEX idx_meter_readings_meter ON meter_readings (meter_external_id);
