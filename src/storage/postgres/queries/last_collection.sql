-- Readings leave the table once they are uploaded, so the meters know as well. Infinity is no time.
SELECT max(at)
FROM (
    SELECT max(last_reading_at) AS at FROM meters WHERE isfinite(last_reading_at)
    UNION ALL
    SELECT max(timestamp)
    FROM (SELECT timestamp FROM meter_readings ORDER BY id DESC LIMIT 1000) AS latest
    WHERE isfinite(timestamp)
) AS times
