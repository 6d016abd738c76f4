INSERT INTO service_instances (id, lease_until, is_listening)
VALUES ($1, clock_timestamp() + INTERVAL '30 s', $2)
ON CONFLICT (id) DO UPDATE
SET lease_until = excluded.lease_until, is_listening = excluded.is_listening
