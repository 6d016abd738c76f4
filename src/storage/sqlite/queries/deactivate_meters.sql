UPDATE meters
SET is_active = 0, updated_at = ?2
WHERE
    is_active IS NOT 0
    AND external_id NOT IN (SELECT entry.value ->> 0 FROM json_each(?1) AS entry)
