//! A queue in SQLite with something of every kind in it, and what both databases hold, in words that can be compared.

use meterit_sync::{
    domain::{
        import::{ImportOutcome, ImportProgress},
        reading_ids::ReadingIds,
    },
    storage::import::{ImportError, import},
};

use crate::storage::site::*;

/// Readings that can be moved as they are.
pub const GOOD: u64 = 40;
/// Readings in the queue that PostgreSQL cannot hold as they are.
pub const BAD: u64 = 7;

/// Both databases.
pub struct Move {
    pub old: SqliteSite,
    pub new: PostgresSite,
}

/// What is in a database, sorted.
#[derive(Debug, PartialEq, Eq)]
pub struct Contents {
    pub readings: Vec<String>,
    /// Key, body, attempts and so on, and the reading for every place in the body.
    pub batches: Vec<String>,
    pub quarantine: Vec<String>,
    pub audit: Vec<String>,
    pub sync_log: Vec<String>,
    pub keys: Vec<String>,
}

impl Move {
    pub async fn new() -> Self {
        let site = Self {
            old: SqliteSite::new(),
            new: PostgresSite::new(),
        };
        site.old.open().await.close().await;
        site
    }

    /// With rows of every kind in the old queue.
    pub async fn filled() -> Self {
        let site = Self::new().await;
        site.old.execute(FILLING).await;
        site
    }

    pub async fn import(&self) -> Result<ImportOutcome, ImportError> {
        self.import_watched(|_| {}).await
    }

    /// In chunks of five rows.
    pub async fn import_watched(
        &self,
        on_progress: impl FnMut(ImportProgress),
    ) -> Result<ImportOutcome, ImportError> {
        import(&self.old.file(), &self.new.url(), 5, now, on_progress).await
    }

    /// What the old queue holds and the new one is to hold: all but what does not fit.
    pub async fn fitting(&self) -> Contents {
        contents(&self.old, &SQLITE).await
    }

    pub async fn arrived(&self) -> Contents {
        contents(&self.new, &POSTGRES).await
    }

    /// Rows that are left in the old queue.
    pub async fn left(&self) -> String {
        let tables = [
            "meter_readings",
            "upload_manifests",
            "quarantined_readings",
            "quarantine_audit",
            "sync_log",
            "ingestion_keys",
        ];
        let counts: Vec<String> = tables
            .iter()
            .map(|table| format!("(SELECT count(*) FROM {table})"))
            .collect();
        self.old.ask(&counts.join("+")).await.unwrap()
    }
}

/// How an engine is asked for the same words as the other; `{}` is the place of the column.
struct Dialect {
    time: &'static str,
    value: &'static str,
    hexadecimal: &'static str,
    concatenation: &'static str,
}

const SQLITE: Dialect = Dialect {
    time: "strftime('%Y-%m-%d %H:%M:%f', {})",
    value: "printf('%.3f', {})",
    hexadecimal: "lower(hex({}))",
    concatenation: "group_concat",
};
const POSTGRES: Dialect = Dialect {
    time: "to_char({}, 'YYYY-MM-DD HH24:MI:SS.MS')",
    value: "{}::TEXT",
    hexadecimal: "encode({}, 'hex')",
    concatenation: "string_agg",
};

impl Dialect {
    fn time(&self, column: &str) -> String {
        format!("coalesce({}, '-')", self.time.replace("{}", column))
    }

    /// The lines of a query, sorted the same way whatever the engine's collation.
    async fn lines(&self, site: &dyn Site, expression: &str, from: &str) -> Vec<String> {
        let concatenation = self.concatenation;
        let all = site
            .ask(&format!(
                "SELECT {concatenation}({expression}, '~') FROM {from}"
            ))
            .await
            .unwrap_or_default();
        let mut lines: Vec<String> = all
            .split('~')
            .filter(|line| !line.is_empty())
            .map(str::to_owned)
            .collect();
        lines.sort();
        lines
    }
}

async fn contents(site: &dyn Site, dialect: &Dialect) -> Contents {
    let time = |column| dialect.time(column);
    let reading = format!(
        "meter_external_id || ' ' || {} || ' ' || data_point || ' ' || {} || ' ' || coalesce(unit, '-')",
        time("timestamp"),
        dialect.value.replace("{}", "value")
    );
    let row = format!(
        "{reading} || ' ' || CASE WHEN is_synchronized THEN 1 ELSE 0 END || ' ' || coalesce(retry_count, 0) || ' ' || {} || ' ' || {}",
        time("created_at"),
        time("synchronized_at")
    );
    let mut batches = Vec::new();
    for key in dialect
        .lines(
            site,
            "key",
            "upload_manifests WHERE state IN ('live', 'parked')",
        )
        .await
    {
        batches.push(batch(site, dialect, &key, &reading).await);
    }
    Contents {
        readings: dialect.lines(site, &row, "meter_readings WHERE meter_external_id LIKE 'GOOD%'").await,
        batches,
        quarantine: dialect.lines(site,
            &format!(
                "reading_id || ' ' || meter_external_id || ' ' || value || ' ' || reason || ' ' || message || ' ' || \
                 coalesce(status, 0) || ' ' || coalesce(idempotency_key, '-') || ' ' || {}",
                time("quarantined_at")
            ),
            "quarantined_readings WHERE meter_external_id LIKE 'QUARANTINED%'",
        )
        .await,
        // Entries have other ids there, but the same notes belong together.
        audit: dialect.lines(site,
            "meter_external_id || ' ' || action || ' ' || details",
            "quarantine_audit INNER JOIN quarantined_readings ON quarantined_readings.id = quarantine_id \
             WHERE meter_external_id LIKE 'QUARANTINED%'",
        )
        .await,
        sync_log: dialect.lines(site,
            &format!(
                "batch_size || ' ' || CASE WHEN success THEN 1 ELSE 0 END || ' ' || coalesce(error_message, '-') || ' ' || {}",
                time("synced_at")
            ),
            "sync_log",
        )
        .await,
        keys: dialect.lines(site, "key || ' ' || readings || ' ' || fingerprint", "ingestion_keys").await,
    }
}

async fn batch(site: &dyn Site, dialect: &Dialect, key: &str, reading: &str) -> String {
    let of_it = format!("FROM upload_manifests WHERE key = '{key}'");
    let manifest = format!(
        "SELECT key || ' ' || root || ' ' || state || ' ' || attempts || ' ' || failed_passes || ' ' || coalesce(last_error, '-') \
         || ' ' || coalesce(last_status, 0) || ' ' || {} || ' ' || reading_count {of_it}",
        dialect.time("claimed_at")
    );
    let mut words = site.ask(&manifest).await.unwrap();
    let ids = site.ask(&format!("SELECT reading_ids {of_it}")).await;
    for id in ReadingIds::decode(&ids.unwrap()).unwrap().iter() {
        let row = site
            .ask(&format!("SELECT {reading} FROM meter_readings WHERE id = {id} AND meter_external_id LIKE 'GOOD%'"))
            .await;
        words += &format!("\n  {}", row.unwrap_or_else(|| "(gone)".to_owned()));
    }
    let body = dialect.hexadecimal.replace("{}", "body");
    let body = site.ask(&format!("SELECT {body} {of_it}")).await.unwrap();
    format!("{words}\n  {body}")
}

/// Ids 1 to 40 are good; 2 is gone, 3 to 6 and 21 to 25 are on their way, 7 and 8 are a part, 9 is a suspect; every tenth
/// one was uploaded and is kept. Then come those that do not fit.
const FILLING: &str = "
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 41)
    INSERT INTO meter_readings (id, meter_external_id, timestamp, data_point, value, unit, is_synchronized, retry_count, created_at, synchronized_at)
    SELECT i, 'GOOD-' || i, strftime('%Y-%m-%d %H:%M:%f', '2026-01-01', '+' || i || '.125 seconds'), 'energy',
        CASE i % 4 WHEN 0 THEN i WHEN 1 THEN i + 0.125 WHEN 2 THEN 123456789012.345 - i ELSE -i / 1000.0 END,
        CASE WHEN i % 3 = 0 THEN NULL ELSE 'kWh' END,
        CASE WHEN i % 10 = 0 THEN 1 WHEN i % 7 = 0 THEN NULL ELSE 0 END, i % 5,
        CASE WHEN i % 6 = 0 THEN NULL ELSE '2026-01-02 00:00:00.250' END,
        CASE WHEN i % 10 = 0 THEN '2026-01-03 00:00:00.500' END
    FROM n;
    DELETE FROM meter_readings WHERE id = 2;
    INSERT INTO meter_readings (id, meter_external_id, timestamp, data_point, value, unit, is_synchronized) VALUES
        (50, 'BAD-value', '2026-01-01 00:00:00', 'energy', 'n/a', NULL, 0),
        (51, 'BAD-time', 'soon', 'energy', 1, NULL, 0),
        (52, 'BAD-decimals', '2026-01-01 00:00:00', 'energy', 0.0001, NULL, 0),
        (53, 'BAD-size', '2026-01-01 00:00:00', 'energy', 1e12, NULL, 0),
        (54, 'BAD-' || char(0) || 'NUL', '2026-01-01 00:00:00', 'energy', 1, NULL, 0),
        (55, 'BAD-unit', '2026-01-01 00:00:00', 'energy', 1, 'kWh' || printf('%50s', ''), 0),
        (56, 'BAD-kept', '2026-01-01 00:00:00', 'energy', 0.0001, NULL, 1);
    INSERT INTO upload_manifests (key, root, state, attempts, failed_passes, last_error, last_status, claimed_at, reading_count, reading_ids, body) VALUES
        ('first', 'first', 'live', 3, 1, 'timeout', NULL, '2026-01-04 00:00:00.125', 5, '2-6', CAST('first is the body' AS BLOB)),
        ('part', 'whole', 'part', 1, 0, 'refused', 400, '2026-01-04 00:00:00.125', 2, '7-8', CAST('part' AS BLOB)),
        ('suspect', 'whole', 'suspect', 1, 0, 'refused', 400, '2026-01-04 00:00:00.125', 1, '9', CAST('suspect' AS BLOB)),
        ('second', 'whole', 'parked', 30, 4, NULL, 503, '2026-01-04 00:00:00.125', 7, '21-25,31,52', CAST('second is the body' AS BLOB));
    INSERT INTO quarantined_readings (id, reading_id, meter_external_id, timestamp, data_point, value, unit, retry_count, reading_created_at, reason, status, message, idempotency_key, quarantined_at)
    SELECT id + 100, id + 1000, 'QUARANTINED-' || id, 'whenever', 'energy', id || '.1', NULL, 2, NULL, 'refused', 400, 'out of range', 'key-' || id, '2026-01-05 00:00:00.125'
    FROM meter_readings WHERE id BETWEEN 10 AND 21;
    INSERT INTO quarantine_audit (quarantine_id, action, details, at)
    SELECT id, 'quarantined', '{\"after\":{\"reading_id\":' || reading_id || '}}', '2026-01-05 00:00:00.125' FROM quarantined_readings;
    INSERT INTO quarantine_audit (quarantine_id, action, details, at) VALUES
        (110, 'corrected', '{\"after\":\"corrected\"}', '2026-01-05 00:00:01.125'),
        (90, 'quarantined', '{\"after\":\"gone\"}', '2026-01-05 00:00:01.125'),
        (90, 'discarded', '{\"before\":\"gone\"}', '2026-01-05 00:00:02.125');
    INSERT INTO sync_log (batch_size, success, error_message, synced_at)
    SELECT id, id % 2, CASE WHEN id % 2 = 0 THEN 'timeout' END, '2026-01-05 00:00:' || id || '.125' FROM meter_readings WHERE id BETWEEN 10 AND 20;
    INSERT INTO ingestion_keys (key, readings, fingerprint, created_at)
    SELECT 'request-' || id, id, 'f' || id, '2026-01-05 00:00:00.125' FROM meter_readings WHERE id BETWEEN 10 AND 16;
    INSERT INTO meters (external_id, name, bacnet_device_id, bacnet_ip, config, last_reading_at, is_active) VALUES
        ('GOOD-1', 'Main', 7, '10.0.0.1', '{\"a\":1}', '2026-01-01 00:00:01.125', 1),
        ('GOOD-2', 'No configuration', NULL, NULL, 'not JSON', NULL, 0);
    INSERT INTO service_facts (name, value) VALUES ('batch_size_that_fits', '500'), ('configuration', '{}');
";
