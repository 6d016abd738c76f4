UPDATE meter_readings SET is_synchronized = TRUE, synchronized_at = $3
WHERE id BETWEEN $1::BIGINT AND $2::BIGINT AND is_synchronized IS NOT TRUE
