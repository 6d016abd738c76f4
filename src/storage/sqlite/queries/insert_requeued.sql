INSERT INTO meter_readings
(meter_external_id, timestamp, data_point, value, unit, is_synchronized, retry_count, created_at)
SELECT
    entry.value ->> 1, entry.value ->> 2, entry.value ->> 3, entry.value ->> 4, entry.value ->> 5,
    0, entry.value ->> 6, entry.value ->> 7
FROM json_each(?1) AS entry
ORDER BY entry.key
RETURNING id
