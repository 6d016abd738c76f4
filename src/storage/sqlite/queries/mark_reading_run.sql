-- The sign keeps SQLite from trying for every row whether the bounds are numbers.
UPDATE meter_readings SET is_synchronized = 1, synchronized_at = ?6
WHERE
    id BETWEEN ?1 AND ?2 AND is_synchronized IS NOT 1
    AND (+created_at BETWEEN ?3 AND ?4 OR ?3 IS NULL OR (?5 AND created_at IS NULL))
