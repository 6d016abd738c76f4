UPDATE meter_readings SET retry_count = coalesce(retry_count, 0) + 1
WHERE
    id BETWEEN $1::BIGINT AND $2::BIGINT
    AND (created_at BETWEEN $3::TIMESTAMP AND $4::TIMESTAMP OR $3 IS NULL OR ($5::BOOLEAN AND created_at IS NULL))
