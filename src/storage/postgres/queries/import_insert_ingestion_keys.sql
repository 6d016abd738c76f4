INSERT INTO ingestion_keys (key, readings, fingerprint, created_at)
SELECT entry ->> 0, (entry ->> 1)::BIGINT, entry ->> 2, (entry ->> 3)::TIMESTAMP
FROM json_array_elements($1::TEXT::JSON) AS entries (entry)
ON CONFLICT (key) DO NOTHING
