SELECT sql FROM sqlite_schema WHERE type = 'table' AND name = 'meter_readings' COLLATE NOCASE
