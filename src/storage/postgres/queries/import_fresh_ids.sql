SELECT nextval(pg_get_serial_sequence($1, 'id')) FROM generate_series(1, $2)
