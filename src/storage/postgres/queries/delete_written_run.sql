-- The truth of the subquery is asked for so that it is hashed and not joined; an array is searched from its beginning for
-- every row. A row that another transaction changes meanwhile has another xmin then, and stays.
DELETE FROM meter_readings
WHERE id BETWEEN $1::BIGINT AND $2::BIGINT AND (xmin IN (SELECT unnest($3::TEXT [])::XID)) IS TRUE
