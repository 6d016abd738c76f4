UPDATE upload_manifests
SET state = $3, attempts = $4, failed_passes = $5, last_error = $6, last_status = $7
WHERE key = $1 AND owner = $2
