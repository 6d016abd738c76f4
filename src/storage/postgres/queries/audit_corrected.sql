INSERT INTO quarantine_audit (quarantine_id, action, details, at)
SELECT id, 'corrected', json_build_object('before', $2::TEXT::JSON, 'after', contents)::TEXT, $3
FROM quarantine_contents
WHERE id = $1
