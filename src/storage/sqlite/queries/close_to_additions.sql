-- For everybody else the disk is full, and they shall see just that: an AUTOINCREMENT table that has used its highest id
-- fails as a full disk does. It holds for a while only, so that a service that is gone locks nobody out.
CREATE TABLE IF NOT EXISTS disk_full (id INTEGER PRIMARY KEY AUTOINCREMENT, closed_until INTEGER NOT NULL DEFAULT 0);
INSERT OR REPLACE INTO disk_full (id, closed_until)
VALUES (9223372036854775807, CAST(strftime('%s', 'now') AS INTEGER) + 600);
CREATE TRIGGER IF NOT EXISTS no_room_for_readings BEFORE INSERT ON meter_readings
WHEN (SELECT max(closed_until) FROM disk_full) > CAST(strftime('%s', 'now') AS INTEGER)
BEGIN
    INSERT INTO disk_full (closed_until) VALUES (0);
END
