SELECT id::BIGINT, batch_size, success, error_message, synced_at
FROM sync_log
WHERE success = $1
ORDER BY sync_log.id DESC
LIMIT $2
