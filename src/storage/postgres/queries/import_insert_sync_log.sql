INSERT INTO sync_log (batch_size, success, error_message, synced_at)
SELECT (entry ->> 0)::INTEGER, (entry ->> 1)::BOOLEAN, entry ->> 2, (entry ->> 3)::TIMESTAMP
FROM json_array_elements($1::TEXT::JSON) WITH ORDINALITY AS entries (entry, position)
ORDER BY position
