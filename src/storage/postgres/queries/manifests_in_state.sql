SELECT key, root, state, attempts, failed_passes, last_error, last_status, claimed_at, reading_ids, epoch
FROM upload_manifests
WHERE owner = $1 AND state = $2 AND ($3::TEXT IS NULL OR root = $3)
ORDER BY id
