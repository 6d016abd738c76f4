SELECT
    id, meter_external_id, timestamp, data_point, value, unit,
    is_synchronized, retry_count, created_at, synchronized_at
FROM meter_readings
ORDER BY id
LIMIT ?1
