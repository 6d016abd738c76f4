SELECT contents FROM quarantine_contents WHERE id = ?1
