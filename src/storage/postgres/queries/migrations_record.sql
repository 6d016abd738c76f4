SELECT to_regclass('meterit_sync_migrations') IS NOT NULL
