SELECT id::BIGINT, external_id, name, bacnet_device_id, bacnet_ip, last_reading_at, is_active, created_at
FROM meters
ORDER BY name, meters.id
LIMIT $1 OFFSET $2
