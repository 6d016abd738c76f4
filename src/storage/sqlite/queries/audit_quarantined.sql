INSERT INTO quarantine_audit (quarantine_id, action, details, at)
SELECT id, 'quarantined', json_object('before', NULL, 'after', json(contents)), ?2
FROM quarantine_contents
WHERE id > ?1
