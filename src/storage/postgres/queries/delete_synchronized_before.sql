DELETE FROM meter_readings
WHERE id IN (
    SELECT id
    FROM meter_readings
    WHERE is_synchronized IS TRUE AND coalesce(synchronized_at, created_at) < $1
    ORDER BY coalesce(synchronized_at, created_at)
    LIMIT $2
    FOR UPDATE SKIP LOCKED
)
