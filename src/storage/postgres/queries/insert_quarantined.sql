INSERT INTO quarantined_readings (
    reading_id, meter_external_id, timestamp, data_point, value, unit, retry_count, reading_created_at,
    reason, status, message, idempotency_key, quarantined_at
)
SELECT
    (entry ->> 0)::BIGINT, entry ->> 1, entry ->> 2, entry ->> 3, entry ->> 4, entry ->> 5,
    (entry ->> 6)::BIGINT, entry ->> 7, entry ->> 8, (entry ->> 9)::INTEGER, entry ->> 10, entry ->> 11, $2
FROM json_array_elements($1::TEXT::JSON) WITH ORDINALITY AS entries (entry, position)
ORDER BY position
RETURNING id
