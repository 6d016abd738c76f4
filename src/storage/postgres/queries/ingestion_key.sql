SELECT fingerprint FROM ingestion_keys WHERE key = $1
