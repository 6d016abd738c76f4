INSERT INTO quarantine_audit (quarantine_id, action, details, at)
SELECT id, 'discarded', json_build_object('before', contents, 'after', NULL)::TEXT, $4
FROM quarantine_contents
WHERE id IN (
    SELECT id
    FROM quarantined_readings
    WHERE ($1::BIGINT IS NULL OR id = $1) AND ($2::TEXT IS NULL OR reason = $2) AND ($3::TEXT IS NULL OR meter_external_id = $3)
)
