INSERT INTO quarantine_audit (quarantine_id, action, details, at)
SELECT id, 'corrected', json_object('before', json(?2), 'after', json(contents)), ?3
FROM quarantine_contents
WHERE id = ?1
