SELECT
    reason,
    status,
    readings,
    since,
    until,
    (SELECT message FROM quarantined_readings AS newest WHERE newest.id = newest_id)
FROM (
    SELECT
        reason,
        status,
        count(*) AS readings,
        min(quarantined_at) AS since,
        max(quarantined_at) AS until,
        max(id) AS newest_id
    FROM quarantined_readings
    GROUP BY reason, status
) AS groups
ORDER BY reason, status
