SELECT id, meter_external_id, timestamp, data_point, value, unit
FROM meter_readings INDEXED BY meter_readings_pending
WHERE is_synchronized IS NOT 1 AND id > ?1
ORDER BY id
LIMIT ?2
