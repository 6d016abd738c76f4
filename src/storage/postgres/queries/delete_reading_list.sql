DELETE FROM meter_readings
WHERE
    id = ANY ($1::BIGINT [])
    AND (created_at BETWEEN $2::TIMESTAMP AND $3::TIMESTAMP OR $2 IS NULL OR ($4::BOOLEAN AND created_at IS NULL))
