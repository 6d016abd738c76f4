UPDATE meter_readings SET is_synchronized = TRUE, synchronized_at = $5
WHERE
    id = ANY ($1::BIGINT []) AND is_synchronized IS NOT TRUE
    AND (created_at BETWEEN $2::TIMESTAMP AND $3::TIMESTAMP OR $2 IS NULL OR ($4::BOOLEAN AND created_at IS NULL))
