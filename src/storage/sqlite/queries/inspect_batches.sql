SELECT
    state,
    count(*),
    sum(reading_count),
    min(claimed_at),
    max(attempts),
    (
        SELECT last_error
        FROM upload_manifests AS worst
        WHERE worst.state = upload_manifests.state
        ORDER BY attempts DESC, id
        LIMIT 1
    )
FROM upload_manifests
GROUP BY state
ORDER BY state
