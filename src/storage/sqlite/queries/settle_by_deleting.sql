INSERT INTO sync_log (batch_size, success, error_message, synced_at)
SELECT ?4, 1, NULL, ?5 FROM upload_manifests WHERE key = ?1;
DELETE FROM upload_manifests WHERE key = ?1;
-- Without a condition on the manifest: with one, all ids are gathered before the first row goes.
DELETE FROM meter_readings WHERE id BETWEEN ?2 AND ?3
