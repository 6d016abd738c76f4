INSERT INTO meter_readings
(meter_external_id, timestamp, data_point, value, unit, is_synchronized, retry_count, created_at)
SELECT meter_external_id, timestamp, data_point, value::NUMERIC, unit, FALSE, 0, $6
FROM unnest($1::TEXT [], $2::TIMESTAMP [], $3::TEXT [], $4::TEXT [], $5::TEXT [])
AS entry (meter_external_id, timestamp, data_point, value, unit)
