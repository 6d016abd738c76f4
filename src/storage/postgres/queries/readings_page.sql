SELECT
    id::BIGINT, meter_external_id, timestamp, data_point, value, unit, is_synchronized, retry_count, created_at
FROM (SELECT * FROM meter_readings ORDER BY id DESC LIMIT $3) AS newest
WHERE timestamp >= $1 AND ($2::TEXT IS NULL OR meter_external_id = $2)
ORDER BY newest.timestamp DESC, newest.id DESC
LIMIT $4 OFFSET $5
