INSERT INTO quarantine_audit (quarantine_id, action, details, at)
SELECT
    quarantine_contents.id,
    'requeued',
    json_object('before', json(contents), 'after', json_object('reading_id', entry.value ->> 1)),
    ?2
FROM json_each(?1) AS entry
INNER JOIN quarantine_contents ON quarantine_contents.id = entry.value ->> 0
