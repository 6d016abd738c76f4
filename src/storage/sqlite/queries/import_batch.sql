SELECT key, root, state, attempts, failed_passes, last_error, last_status, claimed_at, reading_ids, body
FROM upload_manifests
ORDER BY id
LIMIT 1
