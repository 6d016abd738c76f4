//! The Sync Database as another program sees it: a file, and plain SQL.

use std::path::PathBuf;

use meterit_sync::storage::{SyncStore, sqlite::SqliteStore};
use sqlx::{ConnectOptions, Connection, Row, SqliteConnection, sqlite::SqliteConnectOptions};

/// A SQLite file in a folder of its own.
pub struct Database {
    folder: tempfile::TempDir,
}

impl Database {
    /// A database with all tables and no rows, as an earlier run of the service leaves it.
    pub async fn create() -> Self {
        let database = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        database.open_and_close().await;
        database
    }

    pub fn file(&self) -> PathBuf {
        self.folder.path().join("sync.db")
    }

    /// Takes the service's place for a moment, which only works while no service holds the file.
    pub async fn open_and_close(&self) {
        let store = SqliteStore::open(&self.file())
            .await
            .expect("nobody else serves this database");
        store.close().await;
    }

    /// A connection as another program has it: nothing set but what it takes to wait for a lock.
    pub async fn connect(&self) -> SqliteConnection {
        SqliteConnectOptions::new()
            .filename(self.file())
            .foreign_keys(false)
            .connect()
            .await
            .expect("another program's connection")
    }

    /// Runs a statement as another program does.
    pub async fn execute(&self, sql: &str) {
        let mut connection = self.connect().await;
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql))
            .execute(&mut connection)
            .await
            .expect("another program's statement");
        connection.close().await.unwrap();
    }

    /// The first column of every row as text, NULL as an empty text.
    pub async fn column(&self, sql: &str) -> Vec<String> {
        let mut connection = self.connect().await;
        let cast = format!("SELECT coalesce(CAST(\"it\" AS TEXT), '') FROM ({sql})");
        let rows = sqlx::query(sqlx::AssertSqlSafe(cast))
            .fetch_all(&mut connection)
            .await
            .expect("another program's question");
        connection.close().await.unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    }

    /// How many rows a table has, or a part of it: `meter_readings WHERE …`.
    pub async fn count(&self, rows: &str) -> u64 {
        let counted = self
            .column(&format!("SELECT count(*) AS it FROM {rows}"))
            .await;
        counted[0].parse().unwrap()
    }

    /// Readings that have not left the queue.
    pub async fn pending(&self) -> u64 {
        self.count("meter_readings WHERE is_synchronized IS NOT 1")
            .await
    }

    /// Inserts readings numbered `numbers`, each of a meter of its own named `M-<number>`.
    pub async fn insert(&self, numbers: std::ops::Range<u64>) {
        self.insert_as("'M-' || n", numbers).await;
    }

    /// Inserts readings numbered `numbers`; `meter` is an SQL expression over `n`. The number is the value, and
    /// the seconds of the timestamp, so that no two of them are alike.
    pub async fn insert_as(&self, meter: &str, numbers: std::ops::Range<u64>) {
        let (first, last) = (numbers.start, numbers.end - 1);
        self.execute(&format!(
            "WITH RECURSIVE numbers(n) AS (SELECT {first} UNION ALL SELECT n + 1 FROM numbers WHERE n < {last})
             INSERT INTO meter_readings (meter_external_id, timestamp, data_point, value, unit)
             SELECT {meter}, datetime('2026-03-01', '+' || n || ' seconds'), 'energy_total', n, 'kWh' FROM numbers"
        ))
        .await;
    }
}
