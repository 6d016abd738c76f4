SELECT quarantine_id, action, details, at
FROM quarantine_audit
WHERE quarantine_id IN (SELECT value FROM json_each(?1))
ORDER BY id
