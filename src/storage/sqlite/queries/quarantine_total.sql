SELECT count(*)
FROM quarantined_readings
WHERE (?1 IS NULL OR id = ?1) AND (?2 IS NULL OR reason = ?2) AND (?3 IS NULL OR meter_external_id = ?3)
