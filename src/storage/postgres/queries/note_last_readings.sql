-- A meter that somebody else has locked is passed over until its next reading: no reading waits for that.
WITH newest AS (
    SELECT meters.id, entry.last_reading_at
    FROM unnest($1::TEXT [], $2::TIMESTAMP []) AS entry (external_id, last_reading_at)
    INNER JOIN meters ON meters.external_id = entry.external_id
    WHERE meters.last_reading_at IS NULL OR meters.last_reading_at < entry.last_reading_at
    FOR UPDATE OF meters SKIP LOCKED
)
UPDATE meters
SET last_reading_at = newest.last_reading_at
FROM newest
WHERE meters.id = newest.id
