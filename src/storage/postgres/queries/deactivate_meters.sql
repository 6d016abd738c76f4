UPDATE meters
SET is_active = FALSE, updated_at = $2
WHERE is_active IS NOT FALSE AND external_id <> ALL ($1::TEXT [])
