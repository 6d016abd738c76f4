INSERT INTO service_facts (name, value) VALUES (?1, ?2)
ON CONFLICT (name) DO UPDATE
SET value = CAST(CAST(value AS INTEGER) + CAST(excluded.value AS INTEGER) AS TEXT), updated_at = excluded.updated_at
