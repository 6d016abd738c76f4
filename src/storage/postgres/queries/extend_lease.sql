INSERT INTO service_instances (id, lease_until)
VALUES ($1, clock_timestamp() + INTERVAL '30 s')
ON CONFLICT (id) DO UPDATE
SET lease_until = excluded.lease_until
WHERE service_instances.lease_until < clock_timestamp() + INTERVAL '15 s'
