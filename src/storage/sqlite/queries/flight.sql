SELECT
    coalesce(sum(reading_count), 0),
    count(*) FILTER (WHERE state = 'parked'),
    max(last_error) FILTER (WHERE state = 'parked')
FROM upload_manifests
