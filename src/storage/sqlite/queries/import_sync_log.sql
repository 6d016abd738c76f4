SELECT id, batch_size, success, error_message, synced_at
FROM sync_log
ORDER BY id
LIMIT ?1
