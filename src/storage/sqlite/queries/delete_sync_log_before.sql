DELETE FROM sync_log
WHERE id IN (SELECT id FROM sync_log WHERE synced_at >= '' AND synced_at < ?1 LIMIT ?2)
