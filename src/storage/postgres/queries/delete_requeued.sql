DELETE FROM quarantined_readings WHERE id = ANY ($1::BIGINT [])
