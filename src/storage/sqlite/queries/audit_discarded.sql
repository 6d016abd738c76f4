INSERT INTO quarantine_audit (quarantine_id, action, details, at)
SELECT id, 'discarded', json_object('before', json(contents), 'after', NULL), ?4
FROM quarantine_contents
WHERE id IN (
    SELECT id
    FROM quarantined_readings
    WHERE (?1 IS NULL OR id = ?1) AND (?2 IS NULL OR reason = ?2) AND (?3 IS NULL OR meter_external_id = ?3)
)
