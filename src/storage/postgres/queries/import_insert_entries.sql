INSERT INTO quarantined_readings (
    id, reading_id, meter_external_id, timestamp, data_point, value, unit, retry_count, reading_created_at,
    reason, status, message, idempotency_key, quarantined_at
)
SELECT
    (entry ->> 0)::BIGINT, (entry ->> 1)::BIGINT, entry ->> 2, entry ->> 3, entry ->> 4, entry ->> 5, entry ->> 6,
    (entry ->> 7)::BIGINT, entry ->> 8, entry ->> 9, (entry ->> 10)::INTEGER, entry ->> 11, entry ->> 12,
    (entry ->> 13)::TIMESTAMP
FROM json_array_elements($1::TEXT::JSON) AS entries (entry)
