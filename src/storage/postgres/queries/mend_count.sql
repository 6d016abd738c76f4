-- One statement, one snapshot: where no reading waits, a sum other than zero is no change on its way but a mistake.
INSERT INTO queue_changes (change)
SELECT -total
FROM (SELECT coalesce(sum(change), 0) AS total FROM queue_changes) AS sums
WHERE total <> 0 AND NOT EXISTS (SELECT FROM meter_readings WHERE is_synchronized IS NOT TRUE)
