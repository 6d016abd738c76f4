SELECT id::BIGINT, batch_size, success, error_message, synced_at
FROM sync_log
ORDER BY sync_log.id DESC
LIMIT $1 OFFSET $2
