//! A database of its own for one test, and the short forms that the cases are written in.

use async_trait::async_trait;
use meterit_sync::{
    domain::{
        batch::{Batch, ClaimOrder, IdempotencyKey, Manifest, ManifestState},
        quarantine::{QuarantineFilter, QuarantineReason},
        reading::{RawReading, Reading},
        reading_ids::ReadingIds,
        timestamp::Timestamp,
        value::ReadingValue,
    },
    storage::{
        QuarantineEntry, StoreTransaction, SyncStore, Window, postgres::PostgresStore,
        sqlite::SqliteStore,
    },
};
use sqlx::{ConnectOptions, Connection, Row, SqliteConnection, sqlite::SqliteConnectOptions};

use crate::helpers::postgres;

/// A database, and another program that uses it as well.
#[async_trait]
pub trait Site: Send + Sync {
    /// Opens the database as the service does.
    async fn open(&self) -> Box<dyn SyncStore>;
    /// Runs plain SQL as another program does.
    async fn execute(&self, sql: &str);
    /// The first column of the first row as another program sees it, as text.
    async fn ask(&self, sql: &str) -> Option<String>;
    /// The first column of every row, all of them texts.
    async fn list(&self, sql: &str) -> Vec<String>;
    /// What another program can put into `meter_readings` though no batch can hold it.
    fn unreadable(&self) -> UnreadableCells;
    /// How another program empties `meter_readings` and has its ids begin anew.
    fn beginning_anew(&self) -> &'static str;
    /// How another program has `meter_readings` keep the row 3 as it is, and report no failure.
    fn keeping(&self) -> &'static str;
}

/// Contents of `meter_readings` that the engine's columns take, and the service must name as they are.
pub struct UnreadableCells {
    pub timestamp: &'static str,
    pub value: &'static str,
}

/// A SQLite file in a folder of its own.
pub struct SqliteSite {
    folder: tempfile::TempDir,
}

impl SqliteSite {
    /// As [`Site::execute`], for what may fail; then in words.
    pub async fn try_execute(&self, sql: &str) -> Result<(), String> {
        let mut connection = self.connect().await;
        let done = sqlx::raw_sql(sqlx::AssertSqlSafe(sql))
            .execute(&mut connection)
            .await;
        connection.close().await.unwrap();
        done.map(drop).map_err(|error| error.to_string())
    }

    pub fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    pub fn file(&self) -> std::path::PathBuf {
        self.folder.path().join("data").join("sync.db")
    }

    /// A connection as another program has it: nothing set but what it takes to wait for a lock.
    pub async fn connect(&self) -> SqliteConnection {
        std::fs::create_dir_all(self.file().parent().unwrap()).unwrap();
        SqliteConnectOptions::new()
            .filename(self.file())
            .create_if_missing(true)
            .foreign_keys(false)
            .connect()
            .await
            .expect("another program's connection")
    }
}

#[async_trait]
impl Site for SqliteSite {
    async fn open(&self) -> Box<dyn SyncStore> {
        Box::new(SqliteStore::open(&self.file()).await.expect("the store"))
    }

    async fn execute(&self, sql: &str) {
        let mut connection = self.connect().await;
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql))
            .execute(&mut connection)
            .await
            .expect("another program's statement");
        connection.close().await.unwrap();
    }

    async fn ask(&self, sql: &str) -> Option<String> {
        let mut connection = self.connect().await;
        let cast = format!("SELECT CAST(({sql}) AS TEXT)");
        let row = sqlx::query(sqlx::AssertSqlSafe(cast))
            .fetch_one(&mut connection)
            .await
            .expect("another program's question");
        connection.close().await.unwrap();
        row.get(0)
    }

    async fn list(&self, sql: &str) -> Vec<String> {
        let mut connection = self.connect().await;
        let rows = sqlx::query_scalar(sqlx::AssertSqlSafe(sql.to_owned()))
            .fetch_all(&mut connection)
            .await
            .expect("another program's question");
        connection.close().await.unwrap();
        rows
    }

    fn unreadable(&self) -> UnreadableCells {
        UnreadableCells {
            timestamp: "soon",
            value: "n/a",
        }
    }

    fn beginning_anew(&self) -> &'static str {
        "DELETE FROM meter_readings; DELETE FROM sqlite_sequence WHERE name = 'meter_readings'"
    }

    fn keeping(&self) -> &'static str {
        "CREATE TRIGGER keep_deleted BEFORE DELETE ON meter_readings WHEN old.id = 3 \
         BEGIN SELECT RAISE(IGNORE); END; \
         CREATE TRIGGER keep_marked BEFORE UPDATE ON meter_readings WHEN old.id = 3 \
         BEGIN SELECT RAISE(IGNORE); END"
    }
}

/// A database of its own on the server that all tests share.
pub struct PostgresSite {
    server: String,
    name: String,
}

impl PostgresSite {
    pub fn new() -> Self {
        let site = Self {
            server: postgres::shared_server(),
            name: format!("site_{}", uuid::Uuid::now_v7().simple()),
        };
        postgres::blocking::execute(&site.server, &format!("CREATE DATABASE {}", site.name))
            .expect("a database on the server in METERIT_TEST_POSTGRES_URL");
        site
    }

    pub fn url(&self) -> String {
        postgres::url_of(&self.server, &self.name)
    }
}

impl Drop for PostgresSite {
    fn drop(&mut self) {
        // The server itself does not outlive the tests; what is left on it only takes room until then.
        let _ = postgres::blocking::execute(
            &self.server,
            &format!("DROP DATABASE {} WITH (FORCE)", self.name),
        );
    }
}

#[async_trait]
impl Site for PostgresSite {
    async fn open(&self) -> Box<dyn SyncStore> {
        Box::new(PostgresStore::open(&self.url()).await.expect("the store"))
    }

    async fn execute(&self, sql: &str) {
        postgres::execute(&self.url(), sql)
            .await
            .expect("another program's statement");
    }

    async fn ask(&self, sql: &str) -> Option<String> {
        postgres::ask(&self.url(), sql)
            .await
            .expect("another program's question")
    }

    async fn list(&self, sql: &str) -> Vec<String> {
        postgres::list(&self.url(), sql)
            .await
            .expect("another program's question")
    }

    fn unreadable(&self) -> UnreadableCells {
        UnreadableCells {
            timestamp: "infinity",
            value: "NaN",
        }
    }

    fn beginning_anew(&self) -> &'static str {
        "TRUNCATE meter_readings RESTART IDENTITY"
    }

    fn keeping(&self) -> &'static str {
        "CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
         RETURN CASE WHEN OLD.id = 3 THEN NULL WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END; END $$; \
         CREATE TRIGGER keep BEFORE DELETE OR UPDATE ON meter_readings \
         FOR EACH ROW EXECUTE FUNCTION keep()"
    }
}

pub const ALL: Window = Window {
    limit: 1000,
    offset: 0,
};

pub fn any() -> QuarantineFilter {
    QuarantineFilter::default()
}

pub fn time(text: &str) -> Timestamp {
    Timestamp::parse_stored(text).expect("a time")
}

/// Like all that is compared as text, with three decimals that are no zeros: engines differ in the zeros they show.
pub fn now() -> Timestamp {
    time("2026-03-01 12:00:00.125")
}

pub fn key(text: &str) -> IdempotencyKey {
    IdempotencyKey(text.to_owned())
}

pub fn reading(value: &str) -> Reading {
    Reading {
        meter_external_id: "M-1".into(),
        timestamp: time("2026-03-01 11:59:00.125"),
        data_point: "energy_total".into(),
        value: ReadingValue::parse(value).expect("a number"),
        unit: Some("kWh".into()),
    }
}

/// Readings with the values 0.125, 1.125, 2.125 and so on.
pub fn readings(count: usize) -> Vec<Reading> {
    (0..count)
        .map(|number| reading(&format!("{number}.125")))
        .collect()
}

pub fn ids(text: &str) -> ReadingIds {
    ReadingIds::decode(text).expect("ids")
}

pub fn batch(name: &str, reading_ids: &str, state: ManifestState) -> Batch {
    Batch {
        manifest: Manifest {
            key: key(name),
            root: key(name),
            reading_ids: ids(reading_ids),
            attempts: 0,
            failed_passes: 0,
            state,
            last_error: None,
            last_status: None,
            claimed_at: now(),
            epoch: 0,
        },
        body: name.as_bytes().into(),
    }
}

pub fn entry(reading_id: i64, reason: QuarantineReason) -> QuarantineEntry {
    QuarantineEntry {
        reading_id,
        reason,
        status: Some(400),
        message: "value out of range".to_owned(),
        key: Some(key("batch")),
    }
}

/// Stores readings and commits.
pub async fn store(store: &dyn SyncStore, readings: &[Reading]) {
    let mut transaction = store.begin().await.unwrap();
    transaction
        .insert_readings(readings, None, now())
        .await
        .unwrap();
    transaction.commit().await.unwrap();
}

/// Sets readings aside and commits.
pub async fn set_aside(store: &dyn SyncStore, entries: &[QuarantineEntry]) {
    let mut transaction = store.begin().await.unwrap();
    transaction.quarantine(entries, now()).await.unwrap();
    transaction.commit().await.unwrap();
}

/// The ids that would be claimed, as runs.
pub async fn claimed(
    transaction: &mut dyn StoreTransaction,
    order: ClaimOrder,
    limit: usize,
) -> String {
    id_runs(&transaction.claimable(order, limit).await.unwrap())
}

/// All pending ids that nobody holds, as runs.
pub async fn pending(store: &dyn SyncStore) -> String {
    let mut transaction = store.begin().await.unwrap();
    claimed(&mut *transaction, ClaimOrder::Oldest, 100_000).await
}

fn id_runs(rows: &[RawReading]) -> String {
    assert!(rows.is_sorted_by_key(|row| row.id));
    rows.iter()
        .map(|row| row.id)
        .collect::<ReadingIds>()
        .encode()
}
