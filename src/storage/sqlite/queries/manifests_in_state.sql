SELECT key, root, state, attempts, failed_passes, last_error, last_status, claimed_at, reading_ids
FROM upload_manifests
WHERE state = ?1 AND (?2 IS NULL OR root = ?2)
ORDER BY id
