SELECT
    id, reading_id, meter_external_id, timestamp, data_point, value, unit,
    reason, status, message, idempotency_key, quarantined_at
FROM quarantined_readings
WHERE ($1::BIGINT IS NULL OR id = $1) AND ($2::TEXT IS NULL OR reason = $2) AND ($3::TEXT IS NULL OR meter_external_id = $3)
ORDER BY id DESC
LIMIT $4 OFFSET $5
