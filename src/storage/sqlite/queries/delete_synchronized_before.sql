-- The lower bound passes over times that are no text: nobody can tell how old those readings are.
DELETE FROM meter_readings
WHERE id IN (
    SELECT id
    FROM meter_readings INDEXED BY meter_readings_synchronized
    WHERE
        is_synchronized = 1
        AND coalesce(synchronized_at, created_at) >= ''
        AND coalesce(synchronized_at, created_at) < ?1
    LIMIT ?2
)
