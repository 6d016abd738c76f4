SELECT format_type(atttypid, atttypmod)
FROM pg_attribute
WHERE attrelid = to_regclass('meter_readings') AND attname = $1
