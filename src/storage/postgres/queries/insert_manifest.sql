INSERT INTO upload_manifests (
    key, root, owner, epoch, state, attempts, failed_passes, last_error, last_status, claimed_at,
    reading_count, reading_ids, body
)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
