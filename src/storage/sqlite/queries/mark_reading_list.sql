-- The sign keeps SQLite from trying for every row whether the bounds are numbers.
UPDATE meter_readings SET is_synchronized = 1, synchronized_at = ?5
WHERE
    id IN (SELECT value FROM json_each(?1)) AND is_synchronized IS NOT 1
    AND (+created_at BETWEEN ?2 AND ?3 OR ?2 IS NULL OR (?4 AND created_at IS NULL))
