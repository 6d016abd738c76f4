SELECT external_id, name, bacnet_device_id, bacnet_ip, config, last_reading_at, is_active, created_at
FROM meters
ORDER BY id
