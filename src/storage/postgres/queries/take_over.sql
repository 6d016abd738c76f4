-- What another instance is taking over at this moment is passed over.
WITH gone AS (
    SELECT upload_manifests.id, state
    FROM upload_manifests
    WHERE
        owner <> $1
        AND NOT EXISTS (
            SELECT FROM service_instances
            WHERE service_instances.id = upload_manifests.owner AND lease_until > clock_timestamp()
        )
    ORDER BY upload_manifests.id
    FOR UPDATE OF upload_manifests SKIP LOCKED
),
removed AS (
    DELETE FROM upload_manifests
    USING gone
    WHERE upload_manifests.id = gone.id AND gone.state IN ('part', 'suspect')
),
forgotten AS (
    DELETE FROM service_instances WHERE lease_until < clock_timestamp() - INTERVAL '1 day'
)
UPDATE upload_manifests
SET owner = $1, epoch = epoch + 1
FROM gone
WHERE upload_manifests.id = gone.id AND gone.state NOT IN ('part', 'suspect')
RETURNING upload_manifests.key, upload_manifests.state
