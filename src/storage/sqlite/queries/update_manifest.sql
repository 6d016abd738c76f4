UPDATE upload_manifests
SET state = ?2, attempts = ?3, failed_passes = ?4, last_error = ?5, last_status = ?6
WHERE key = ?1
