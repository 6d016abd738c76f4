SELECT contents::TEXT FROM quarantine_contents WHERE id = $1
