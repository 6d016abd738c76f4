SELECT
    coalesce(sum(reading_count), 0)::BIGINT,
    count(*) FILTER (WHERE state = 'parked'),
    coalesce(bool_or(NOT EXISTS (
        SELECT FROM service_instances
        WHERE service_instances.id = upload_manifests.owner AND lease_until > clock_timestamp()
    )), FALSE),
    max(last_error) FILTER (WHERE state = 'parked')
FROM upload_manifests
