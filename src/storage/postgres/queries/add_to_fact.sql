INSERT INTO service_facts (name, value) VALUES ($1, $2)
ON CONFLICT (name) DO UPDATE
SET value = (service_facts.value::BIGINT + excluded.value::BIGINT)::TEXT, updated_at = excluded.updated_at
