DELETE FROM meter_readings WHERE id BETWEEN ?1 AND ?2
