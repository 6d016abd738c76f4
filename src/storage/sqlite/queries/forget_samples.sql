DELETE FROM status_samples
WHERE minute IN (SELECT minute FROM status_samples WHERE minute < ?1 ORDER BY minute LIMIT 1000)
