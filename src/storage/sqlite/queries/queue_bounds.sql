SELECT
    (SELECT max(id) FROM meter_readings),
    (
        SELECT created_at
        FROM meter_readings INDEXED BY meter_readings_pending
        WHERE is_synchronized IS NOT 1
        ORDER BY id
        LIMIT 1
    )
