WITH gone AS (
    DELETE FROM queue_changes WHERE (SELECT count(*) FROM queue_changes) > 1000 RETURNING change
)
INSERT INTO queue_changes (change) SELECT sum(change) FROM gone HAVING count(*) > 0
