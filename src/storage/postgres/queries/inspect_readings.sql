SELECT count(*) FROM meter_readings WHERE is_synchronized
