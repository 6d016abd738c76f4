SELECT count(*) FROM sync_log
