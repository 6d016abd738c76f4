-- The sign keeps SQLite from trying for every row whether the bounds are numbers.
DELETE FROM meter_readings
WHERE id IN (SELECT value FROM json_each(?1)) AND (+created_at BETWEEN ?2 AND ?3 OR ?2 IS NULL OR (?4 AND created_at IS NULL))
