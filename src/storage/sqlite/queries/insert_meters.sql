INSERT INTO meters
(external_id, name, bacnet_device_id, bacnet_ip, config, is_active, created_at, updated_at)
SELECT
    entry.value ->> 0, entry.value ->> 1, entry.value ->> 2, entry.value ->> 3, entry.value ->> 4, 1, ?2, ?2
FROM json_each(?1) AS entry
WHERE entry.value ->> 0 NOT IN (SELECT external_id FROM meters)
ORDER BY entry.key
