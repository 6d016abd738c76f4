UPDATE disk_full SET closed_until = CAST(strftime('%s', 'now') AS INTEGER) + 600
WHERE closed_until < CAST(strftime('%s', 'now') AS INTEGER) + 300
