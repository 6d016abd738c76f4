INSERT INTO quarantine_audit (quarantine_id, action, details, at)
SELECT (entry ->> 0)::BIGINT, entry ->> 1, entry ->> 2, (entry ->> 3)::TIMESTAMP
FROM json_array_elements($1::TEXT::JSON) WITH ORDINALITY AS entries (entry, position)
ORDER BY position
