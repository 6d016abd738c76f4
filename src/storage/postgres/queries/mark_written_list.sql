-- The truth of the subquery is asked for so that it is hashed and not joined; an array is searched from its beginning for
-- every row. A row that another transaction changes meanwhile has another xmin then, and stays.
UPDATE meter_readings SET is_synchronized = TRUE, synchronized_at = $3
WHERE
    id = ANY ($1::BIGINT []) AND is_synchronized IS NOT TRUE
    AND (xmin IN (SELECT unnest($2::TEXT [])::XID)) IS TRUE
