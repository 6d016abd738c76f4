DELETE FROM ingestion_keys WHERE key IN (SELECT value FROM json_each(?1))
