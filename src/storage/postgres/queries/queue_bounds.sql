-- The first to be sent need not be the one that came in first, nor know when it did.
SELECT (SELECT max(id) FROM meter_readings)::BIGINT, oldest.id, oldest.created_at
FROM (SELECT) AS always
LEFT JOIN LATERAL (
    SELECT min(id)::BIGINT AS id, min(created_at) AS created_at
    FROM (
        SELECT meter_readings.id, created_at
        FROM meter_readings
        WHERE is_synchronized IS NOT TRUE AND meter_readings.id >= $1
        ORDER BY meter_readings.id
        LIMIT 100
    ) AS first
) AS oldest ON TRUE
