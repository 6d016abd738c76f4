INSERT INTO quarantine_audit (quarantine_id, action, details, at)
SELECT id, 'quarantined', json_build_object('before', NULL, 'after', contents)::TEXT, $2
FROM quarantine_contents
WHERE id = ANY ($1::BIGINT [])
