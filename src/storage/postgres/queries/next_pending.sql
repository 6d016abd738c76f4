SELECT meter_readings.id::BIGINT
FROM meter_readings
WHERE is_synchronized IS NOT TRUE AND meter_readings.id > $1
ORDER BY meter_readings.id
LIMIT 1
