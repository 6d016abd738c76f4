-- Two numbers: no other lock of this service has two. The first one is for imports and nothing else.
SELECT pg_advisory_lock(1701635449, hashtext($1))
