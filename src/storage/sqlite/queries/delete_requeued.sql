DELETE FROM quarantined_readings
WHERE id IN (SELECT entry.value ->> 0 FROM json_each(?1) AS entry)
