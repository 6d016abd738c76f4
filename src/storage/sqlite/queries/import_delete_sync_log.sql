DELETE FROM sync_log WHERE id IN (SELECT value FROM json_each(?1))
