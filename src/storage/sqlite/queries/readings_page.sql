SELECT
    id, meter_external_id, timestamp, data_point, value, unit, is_synchronized, retry_count, created_at
FROM (SELECT * FROM meter_readings ORDER BY id DESC LIMIT ?3)
WHERE
    coalesce(strftime('%Y-%m-%d %H:%M:%f', timestamp), timestamp) >= ?1
    AND (?2 IS NULL OR meter_external_id = ?2)
ORDER BY coalesce(strftime('%Y-%m-%d %H:%M:%f', timestamp), timestamp) DESC, id DESC
LIMIT ?4 OFFSET ?5
