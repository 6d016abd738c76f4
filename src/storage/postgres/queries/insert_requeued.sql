INSERT INTO meter_readings
(meter_external_id, timestamp, data_point, value, unit, is_synchronized, retry_count, created_at)
SELECT
    entry ->> 1, (entry ->> 2)::TIMESTAMP, entry ->> 3, (entry ->> 4)::NUMERIC, entry ->> 5,
    FALSE, (entry ->> 6)::INTEGER, (entry ->> 7)::TIMESTAMP
FROM json_array_elements($1::TEXT::JSON) WITH ORDINALITY AS entries (entry, position)
ORDER BY position
RETURNING id::BIGINT
