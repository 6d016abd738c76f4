SELECT count(*) FROM meters
