-- Every index on meter_readings is paid for by every reading, so there are only these two.

-- Claims, counts and the oldest pending reading never walk over readings that are kept after their upload. The
-- second column lets a count be answered from the index alone.
CREATE INDEX meter_readings_pending ON meter_readings (id, is_synchronized)
WHERE is_synchronized IS NOT 1;

-- The cleanup goes straight to what is old. Costs nothing while readings are deleted on success.
CREATE INDEX meter_readings_synchronized ON meter_readings (coalesce(synchronized_at, created_at))
WHERE is_synchronized = 1;

-- Statistics over hours, and the cleanup.
CREATE INDEX sync_log_synced_at ON sync_log (synced_at);

-- The number of entries without reading their messages.
CREATE INDEX quarantined_readings_reason ON quarantined_readings (reason);

CREATE INDEX ingestion_keys_created_at ON ingestion_keys (created_at);
