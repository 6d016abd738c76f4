-- In the order of their names, so that two that change the same meters never wait for each other.
WITH newest AS (
    SELECT meters.id, entry.last_reading_at
    FROM unnest($1::TEXT [], $2::TIMESTAMP []) AS entry (external_id, last_reading_at)
    INNER JOIN meters ON meters.external_id = entry.external_id
    WHERE meters.last_reading_at IS NULL OR meters.last_reading_at < entry.last_reading_at
    ORDER BY meters.external_id
    FOR UPDATE OF meters
)
UPDATE meters
SET last_reading_at = newest.last_reading_at
FROM newest
WHERE meters.id = newest.id
