SELECT count(*)
FROM (SELECT meter_external_id, timestamp FROM meter_readings ORDER BY id DESC LIMIT $3) AS newest
WHERE timestamp >= $1 AND ($2::TEXT IS NULL OR meter_external_id = $2)
