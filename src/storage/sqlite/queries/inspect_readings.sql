SELECT
    (
        SELECT count(*)
        FROM meter_readings INDEXED BY meter_readings_pending
        WHERE is_synchronized IS NOT 1
    ),
    (
        SELECT count(*)
        FROM meter_readings INDEXED BY meter_readings_synchronized
        WHERE is_synchronized = 1
    )
