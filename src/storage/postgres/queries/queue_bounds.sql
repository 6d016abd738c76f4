SELECT (SELECT max(id) FROM meter_readings)::BIGINT, oldest.id, oldest.created_at
FROM (SELECT) AS always
LEFT JOIN LATERAL (
    SELECT meter_readings.id::BIGINT AS id, created_at
    FROM meter_readings
    WHERE is_synchronized IS NOT TRUE AND meter_readings.id >= $1
    ORDER BY meter_readings.id
    LIMIT 1
) AS oldest ON TRUE
