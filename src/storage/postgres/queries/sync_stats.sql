SELECT
    count(*) FILTER (WHERE success),
    count(*) FILTER (WHERE NOT success),
    coalesce(sum(batch_size) FILTER (WHERE success), 0)::BIGINT
FROM sync_log
WHERE synced_at >= $1
