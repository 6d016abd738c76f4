-- Readings leave the table once they are uploaded, so the meters know as well.
SELECT max(last_reading_at) FROM meters
UNION
SELECT timestamp FROM (SELECT timestamp FROM meter_readings ORDER BY id DESC LIMIT 1000)
