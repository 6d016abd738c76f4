SELECT count(*) FROM sqlite_schema WHERE type = 'trigger' AND name = 'no_room_for_readings'
