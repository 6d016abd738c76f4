INSERT INTO meters
(external_id, name, bacnet_device_id, bacnet_ip, config, last_reading_at, is_active, created_at, updated_at)
SELECT
    entry ->> 0, entry ->> 1, (entry ->> 2)::INTEGER, entry ->> 3, (entry ->> 4)::JSONB, (entry ->> 5)::TIMESTAMP,
    (entry ->> 6)::BOOLEAN, (entry ->> 7)::TIMESTAMP, now() AT TIME ZONE 'UTC'
FROM json_array_elements($1::TEXT::JSON) AS entries (entry)
ORDER BY entry ->> 0
ON CONFLICT (external_id) DO UPDATE
SET last_reading_at = greatest(meters.last_reading_at, excluded.last_reading_at)
WHERE excluded.last_reading_at > coalesce(meters.last_reading_at, '-infinity')
