SELECT meter_readings.id::BIGINT, meter_external_id, timestamp, data_point, value, unit, xmin
FROM meter_readings
WHERE is_synchronized IS NOT TRUE AND meter_readings.id > $1
ORDER BY meter_readings.id
LIMIT $2
