UPDATE meters
SET last_reading_at = newest.value
FROM json_each(?1) AS newest
WHERE
    meters.external_id = newest.key
    AND (meters.last_reading_at IS NULL OR meters.last_reading_at < newest.value)
