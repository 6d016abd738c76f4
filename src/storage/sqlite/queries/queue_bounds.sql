-- The first to be sent need not be the one that came in first, nor know when it did.
SELECT
    (SELECT max(id) FROM meter_readings),
    min(id),
    min(created_at)
FROM (
    SELECT id, created_at
    FROM meter_readings INDEXED BY meter_readings_pending
    WHERE is_synchronized IS NOT 1
    ORDER BY id
    LIMIT 100
)
