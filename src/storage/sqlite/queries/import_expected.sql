SELECT count(*) FROM meter_readings
