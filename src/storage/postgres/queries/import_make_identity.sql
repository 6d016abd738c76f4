INSERT INTO service_facts (name, value) VALUES ('identity', $1) ON CONFLICT (name) DO NOTHING
