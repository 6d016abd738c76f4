-- Entries that are gone have left notes behind.
SELECT id FROM quarantined_readings
UNION
SELECT quarantine_id FROM quarantine_audit
ORDER BY 1
LIMIT ?1
