SELECT count(*) FROM meter_readings WHERE id = ANY ($1::BIGINT []) AND xmin = ANY ($2::TEXT []::XID [])
