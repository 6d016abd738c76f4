-- The sign keeps SQLite from trying for every row whether the bounds are numbers.
DELETE FROM meter_readings
WHERE id BETWEEN ?1 AND ?2 AND (+created_at BETWEEN ?3 AND ?4 OR ?3 IS NULL OR (?5 AND created_at IS NULL))
