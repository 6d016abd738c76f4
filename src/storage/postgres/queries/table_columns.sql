SELECT pg_class.relkind::TEXT, attname::TEXT, format_type(atttypid, NULL)
FROM pg_class
INNER JOIN pg_attribute ON attrelid = pg_class.oid
WHERE pg_class.oid = to_regclass($1) AND attnum > 0 AND NOT attisdropped
