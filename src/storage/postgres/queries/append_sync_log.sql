INSERT INTO sync_log (batch_size, success, error_message, synced_at) VALUES ($1, $2, $3, $4)
