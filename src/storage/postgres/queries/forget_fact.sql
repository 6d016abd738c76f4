DELETE FROM service_facts WHERE name = $1
