SELECT meter_readings.id::BIGINT, meter_external_id, timestamp, data_point, value, unit
FROM meter_readings
WHERE id = ANY ($1::BIGINT [])
ORDER BY meter_readings.id
FOR UPDATE
