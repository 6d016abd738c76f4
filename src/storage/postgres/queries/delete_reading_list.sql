DELETE FROM meter_readings WHERE id = ANY ($1::BIGINT [])
