-- The sign keeps SQLite from trying for every row whether the bounds are numbers.
UPDATE meter_readings SET retry_count = coalesce(retry_count, 0) + 1
WHERE id IN (SELECT value FROM json_each(?1)) AND (+created_at BETWEEN ?2 AND ?3 OR ?2 IS NULL OR (?4 AND created_at IS NULL))
