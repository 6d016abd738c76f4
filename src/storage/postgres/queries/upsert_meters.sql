-- What a configuration leaves out stays as it is; of a meter that it names twice the last entry counts. In the order of
-- their names, so that two that change the same meters never wait for each other.
INSERT INTO meters
(external_id, name, bacnet_device_id, bacnet_ip, config, is_active, created_at, updated_at)
SELECT external_id, name, bacnet_device_id::INTEGER, bacnet_ip, config::JSONB, TRUE, $6, $6
FROM (
    SELECT DISTINCT ON (external_id) *
    FROM unnest($1::TEXT [], $2::TEXT [], $3::BIGINT [], $4::TEXT [], $5::TEXT [])
    WITH ORDINALITY AS entry (external_id, name, bacnet_device_id, bacnet_ip, config, position)
    ORDER BY external_id, position DESC
) AS entry
ON CONFLICT (external_id) DO UPDATE
SET
    name = excluded.name,
    bacnet_device_id = coalesce(excluded.bacnet_device_id, meters.bacnet_device_id),
    bacnet_ip = coalesce(excluded.bacnet_ip, meters.bacnet_ip),
    config = coalesce(excluded.config, meters.config),
    is_active = TRUE,
    updated_at = excluded.updated_at
