SELECT meter_readings.id::BIGINT, meter_external_id, timestamp, data_point, value, unit, retry_count, created_at
FROM meter_readings
WHERE id = ANY ($1::BIGINT [])
ORDER BY meter_readings.id
FOR UPDATE SKIP LOCKED
