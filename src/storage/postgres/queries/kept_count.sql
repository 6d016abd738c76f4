SELECT coalesce(sum(change), 0)::BIGINT FROM queue_changes
