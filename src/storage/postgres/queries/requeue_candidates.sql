SELECT
    id, meter_external_id, timestamp, data_point, value, unit,
    reason, retry_count, reading_created_at
FROM quarantined_readings
WHERE
    ($1::BIGINT IS NULL OR id = $1) AND ($2::TEXT IS NULL OR reason = $2) AND ($3::TEXT IS NULL OR meter_external_id = $3)
    AND id > $4
ORDER BY id
LIMIT $5
FOR UPDATE
