DELETE FROM quarantined_readings WHERE id IN (SELECT value FROM json_each(?1))
