INSERT INTO ingestion_keys (key, readings, fingerprint, created_at) VALUES ($1, $2, $3, $4)
ON CONFLICT (key) DO NOTHING
