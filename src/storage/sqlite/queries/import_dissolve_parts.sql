DELETE FROM upload_manifests WHERE state IN ('part', 'suspect')
