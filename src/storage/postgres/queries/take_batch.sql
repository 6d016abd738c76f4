DELETE FROM upload_manifests
WHERE key = $1 AND owner = $2 AND epoch = $3
RETURNING key, root, state, attempts, failed_passes, last_error, last_status, claimed_at, reading_ids, epoch, body
