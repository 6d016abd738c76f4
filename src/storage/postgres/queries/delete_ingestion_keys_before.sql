DELETE FROM ingestion_keys
WHERE key IN (
    SELECT key FROM ingestion_keys WHERE created_at < $1 ORDER BY created_at LIMIT $2 FOR UPDATE SKIP LOCKED
)
