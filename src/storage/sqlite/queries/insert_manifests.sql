INSERT INTO upload_manifests (
    key, root, state, attempts, failed_passes, last_error, last_status, claimed_at,
    reading_count, reading_ids, body
)
VALUES
