INSERT INTO meter_readings
(meter_external_id, timestamp, data_point, value, unit, is_synchronized, retry_count, created_at)
VALUES
