UPDATE meter_readings SET retry_count = coalesce(retry_count, 0) + 1 WHERE id BETWEEN ?1 AND ?2
