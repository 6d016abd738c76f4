SELECT version FROM meterit_sync_migrations WHERE success ORDER BY version
