SELECT name, value FROM service_facts WHERE name <> ?1 ORDER BY name
