INSERT INTO quarantine_audit (quarantine_id, action, details, at)
SELECT
    quarantine_contents.id,
    'requeued',
    json_build_object('before', contents, 'after', json_build_object('reading_id', entry.reading_id))::TEXT,
    $3
FROM unnest($1::BIGINT [], $2::BIGINT []) AS entry (quarantine_id, reading_id)
INNER JOIN quarantine_contents ON quarantine_contents.id = entry.quarantine_id
