DELETE FROM upload_manifests WHERE key = $1 AND owner = $2
