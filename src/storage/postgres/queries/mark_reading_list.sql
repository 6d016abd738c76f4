UPDATE meter_readings SET is_synchronized = TRUE, synchronized_at = $2
WHERE id = ANY ($1::BIGINT []) AND is_synchronized IS NOT TRUE
