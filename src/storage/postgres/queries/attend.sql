-- The lease is renewed when a third of it has gone by. The leader's lock is taken anew with every call, which changes
-- nothing for whoever has it, and ends with the session.
WITH renewed AS (
    INSERT INTO service_instances (id, lease_until, is_listening)
    VALUES ($1, clock_timestamp() + INTERVAL '30 s', $2)
    ON CONFLICT (id) DO UPDATE
    SET lease_until = excluded.lease_until, is_listening = excluded.is_listening
    WHERE
        service_instances.lease_until < clock_timestamp() + INTERVAL '20 s'
        OR service_instances.is_listening <> excluded.is_listening
)
SELECT
    pg_try_advisory_lock(7308604896984621172),
    (SELECT count(*) FROM service_instances WHERE id <> $1 AND lease_until > clock_timestamp()) + 1
