INSERT INTO service_facts (name, value) VALUES ($1, $2)
ON CONFLICT (name) DO UPDATE
SET value = excluded.value, updated_at = excluded.updated_at
