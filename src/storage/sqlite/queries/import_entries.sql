SELECT
    id, reading_id, meter_external_id, timestamp, data_point, value, unit, retry_count, reading_created_at,
    reason, status, message, idempotency_key, quarantined_at
FROM quarantined_readings
WHERE id IN (SELECT value FROM json_each(?1))
ORDER BY id
