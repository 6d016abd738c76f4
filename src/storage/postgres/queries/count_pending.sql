SELECT count(*) FROM meter_readings WHERE is_synchronized IS NOT TRUE AND id > $1 AND id <= $2
