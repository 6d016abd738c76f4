UPDATE quarantined_readings
SET
    meter_external_id = coalesce($2, meter_external_id),
    timestamp = coalesce($3, timestamp),
    data_point = coalesce($4, data_point),
    value = coalesce($5, value),
    unit = CASE WHEN $6 THEN $7 ELSE unit END
WHERE id = $1
