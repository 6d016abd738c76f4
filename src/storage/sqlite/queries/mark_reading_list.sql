UPDATE meter_readings SET is_synchronized = 1, synchronized_at = ?2
WHERE id IN (SELECT value FROM json_each(?1)) AND is_synchronized IS NOT 1
