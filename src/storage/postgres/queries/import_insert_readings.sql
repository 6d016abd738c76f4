INSERT INTO meter_readings (
    id, meter_external_id, timestamp, data_point, value, unit,
    is_synchronized, retry_count, created_at, synchronized_at
)
OVERRIDING SYSTEM VALUE
SELECT
    id, meter_external_id, timestamp, data_point, value::NUMERIC, unit,
    is_synchronized, retry_count, created_at, synchronized_at
FROM unnest(
    $1::BIGINT [], $2::TEXT [], $3::TIMESTAMP [], $4::TEXT [], $5::TEXT [], $6::TEXT [],
    $7::BOOLEAN [], $8::INTEGER [], $9::TIMESTAMP [], $10::TIMESTAMP []
) AS entry (
    id, meter_external_id, timestamp, data_point, value, unit,
    is_synchronized, retry_count, created_at, synchronized_at
)
