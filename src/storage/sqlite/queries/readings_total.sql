SELECT count(*)
FROM (SELECT meter_external_id, timestamp FROM meter_readings ORDER BY id DESC LIMIT ?3)
WHERE
    coalesce(strftime('%Y-%m-%d %H:%M:%f', timestamp), timestamp) >= ?1
    AND (?2 IS NULL OR meter_external_id = ?2)
