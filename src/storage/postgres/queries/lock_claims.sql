-- One number out of 2^64, for claims on this queue and nothing else.
SELECT pg_advisory_xact_lock(7308604896984621171)
