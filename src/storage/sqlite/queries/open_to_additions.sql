DROP TRIGGER IF EXISTS no_room_for_readings;
DROP TABLE IF EXISTS disk_full
