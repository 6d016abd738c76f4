INSERT INTO quarantined_readings (
    reading_id, meter_external_id, timestamp, data_point, value, unit, retry_count, reading_created_at,
    reason, status, message, idempotency_key, quarantined_at
)
SELECT
    entry.value ->> 0, entry.value ->> 1, entry.value ->> 2, entry.value ->> 3, entry.value ->> 4,
    entry.value ->> 5, entry.value ->> 6, entry.value ->> 7, entry.value ->> 8, entry.value ->> 9,
    entry.value ->> 10, entry.value ->> 11, ?2
FROM json_each(?1) AS entry
ORDER BY entry.key
