SELECT
    id, meter_external_id, timestamp, data_point, value, unit,
    is_synchronized, retry_count, created_at, synchronized_at
FROM meter_readings
WHERE id IN (SELECT value FROM json_each(?1))
ORDER BY id
