SELECT sql
FROM sqlite_schema
WHERE type IN ('index', 'trigger') AND tbl_name = 'meter_readings' COLLATE NOCASE AND sql IS NOT NULL
