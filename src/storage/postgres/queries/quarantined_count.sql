SELECT count(*) FROM quarantined_readings
