SELECT key, readings, fingerprint, created_at
FROM ingestion_keys
ORDER BY key
LIMIT ?1
