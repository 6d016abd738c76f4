DELETE FROM service_instances WHERE id = $1
