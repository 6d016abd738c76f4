UPDATE meter_readings SET is_synchronized = TRUE, synchronized_at = $6
WHERE
    id BETWEEN $1::BIGINT AND $2::BIGINT AND is_synchronized IS NOT TRUE
    AND (created_at BETWEEN $3::TIMESTAMP AND $4::TIMESTAMP OR $3 IS NULL OR ($5::BOOLEAN AND created_at IS NULL))
