DELETE FROM ingestion_keys
WHERE key IN (SELECT key FROM ingestion_keys WHERE created_at < ?1 LIMIT ?2)
