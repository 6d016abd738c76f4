INSERT INTO service_facts (name, value)
SELECT * FROM unnest($1::TEXT [], $2::TEXT [])
ON CONFLICT (name) DO NOTHING
