-- Along the table, which costs less than to look every row up. Where readings that are kept lie between these, the claim
-- goes along its index.
SELECT id, meter_external_id, timestamp, data_point, value, unit
FROM meter_readings NOT INDEXED
WHERE id > ?1 AND id <= ?1 + 4 * ?2 AND is_synchronized IS NOT 1
ORDER BY id
LIMIT ?2
