-- Every index on meter_readings is paid for by every reading, so there are only these two.

-- Claims and the oldest pending reading never walk over readings that are kept after their upload.
CREATE INDEX meter_readings_pending ON meter_readings (id) WHERE is_synchronized IS NOT TRUE;

-- The cleanup goes straight to what is old. Costs nothing while readings are deleted on success.
CREATE INDEX meter_readings_synchronized ON meter_readings (coalesce(synchronized_at, created_at))
WHERE is_synchronized IS TRUE;

-- Statistics over hours, and the cleanup.
CREATE INDEX sync_log_synced_at ON sync_log (synced_at);

CREATE INDEX ingestion_keys_created_at ON ingestion_keys (created_at);

-- Manifests and counts come and go all the time, in tables that are never large.
ALTER TABLE upload_manifests SET (
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000,
    toast.autovacuum_vacuum_scale_factor = 0, toast.autovacuum_vacuum_threshold = 5000
);
ALTER TABLE queue_changes SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
ALTER TABLE service_instances SET (fillfactor = 50);

-- What was deleted at the front of the queue stays in the indexes until the server cleans up. A tenth of the queue bounds
-- what looks from the beginning walk over, and for a short queue a thousand rows are worth the trip. Whoever has
-- decided otherwise for this table is left alone.
DO $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM pg_class
        WHERE oid = 'meter_readings'::REGCLASS AND array_to_string(reloptions, ',') LIKE '%autovacuum%'
    ) THEN
        ALTER TABLE meter_readings SET (
            autovacuum_vacuum_scale_factor = 0.1, autovacuum_vacuum_threshold = 1000,
            autovacuum_analyze_scale_factor = 0.2, autovacuum_analyze_threshold = 10000
        );
    END IF;
END
$$;
