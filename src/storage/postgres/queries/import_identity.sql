SELECT value FROM service_facts WHERE name = 'identity'
