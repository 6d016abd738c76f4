DELETE FROM sync_log
WHERE id IN (SELECT id FROM sync_log WHERE synced_at < $1 ORDER BY synced_at LIMIT $2 FOR UPDATE SKIP LOCKED)
