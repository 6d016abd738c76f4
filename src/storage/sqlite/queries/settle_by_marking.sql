INSERT INTO sync_log (batch_size, success, error_message, synced_at)
SELECT ?4, 1, NULL, ?5 FROM upload_manifests WHERE key = ?1;
DELETE FROM upload_manifests WHERE key = ?1;
UPDATE meter_readings SET is_synchronized = 1, synchronized_at = ?5
WHERE id BETWEEN ?2 AND ?3 AND is_synchronized IS NOT 1
