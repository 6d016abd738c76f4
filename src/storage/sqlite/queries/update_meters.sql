-- What a configuration leaves out stays as it is.
UPDATE meters
SET
    name = entry.value ->> 1,
    bacnet_device_id = coalesce(entry.value ->> 2, bacnet_device_id),
    bacnet_ip = coalesce(entry.value ->> 3, bacnet_ip),
    config = coalesce(entry.value ->> 4, config),
    is_active = 1,
    updated_at = ?2
FROM json_each(?1) AS entry
WHERE meters.external_id = entry.value ->> 0
