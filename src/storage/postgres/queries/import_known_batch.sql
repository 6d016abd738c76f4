SELECT FROM upload_manifests WHERE key = $1
