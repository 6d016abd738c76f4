UPDATE meter_readings SET is_synchronized = 1, synchronized_at = ?3
WHERE id BETWEEN ?1 AND ?2 AND is_synchronized IS NOT 1
