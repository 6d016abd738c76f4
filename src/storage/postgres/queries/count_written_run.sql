SELECT count(*) FROM meter_readings WHERE id BETWEEN $1::BIGINT AND $2::BIGINT AND xmin = ANY ($3::TEXT []::XID [])
