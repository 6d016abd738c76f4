SELECT coalesce(max(id), 0) FROM quarantined_readings
