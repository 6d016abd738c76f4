DELETE FROM meter_readings WHERE id IN (SELECT value FROM json_each(?1))
