SELECT id, meter_external_id, timestamp, data_point, value, unit
FROM meter_readings
WHERE id BETWEEN ?1 AND ?2
ORDER BY id
