//! SQLite files, copied from one that was filled once.

use std::{
    collections::BTreeMap,
    fmt::Write,
    fs::{self, File},
    path::{Path, PathBuf},
};

use sqlx::{Connection, SqliteConnection, sqlite::SqliteConnectOptions};

use super::{Engine, Queue, wait_for};
use crate::readings::{Reading, readings};

const DEPLOYED_TABLES: &str = include_str!("../../../migrations/sqlite/0001_deployed_tables.sql");
const INSERT: &str = "\
    INSERT INTO meter_readings (meter_external_id, timestamp, data_point, value, unit) \
    SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4 FROM json_each(?1)";
const ROWS_PER_STATEMENT: usize = 10_000;

pub struct Sqlite {
    folder: PathBuf,
    /// The files that were filled, by the number of their readings.
    filled: BTreeMap<usize, PathBuf>,
    queues: usize,
}

impl Sqlite {
    pub fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            filled: BTreeMap::new(),
            queues: 0,
        }
    }

    fn template(&mut self, count: usize) -> PathBuf {
        if let Some(known) = self.filled.get(&count) {
            return known.clone();
        }
        let file = self.folder.join(format!("filled-{count}.db"));
        if count > 0 {
            eprintln!("SQLite: putting {count} readings into a database");
        }
        wait_for(fill(&file, count));
        self.filled.insert(count, file.clone());
        file
    }
}

impl Engine for Sqlite {
    fn name(&self) -> String {
        "SQLite".to_owned()
    }

    fn empty(&mut self) -> Box<dyn Queue> {
        self.filled(0)
    }

    fn filled(&mut self, readings: usize) -> Box<dyn Queue> {
        let template = self.template(readings);
        self.queues += 1;
        let folder = self.folder.join(format!("queue-{}", self.queues));
        fs::create_dir(&folder).expect("a folder for the database");
        let file = folder.join("sync.db");
        fs::copy(template, &file).expect("room on the disk for the database");
        // What is written back later would be written at the expense of what is measured.
        let synced = File::open(&file).and_then(|file| file.sync_all());
        synced.expect("a database that is on the disk");
        Box::new(SqliteQueue { folder, file })
    }
}

struct SqliteQueue {
    folder: PathBuf,
    file: PathBuf,
}

impl Queue for SqliteQueue {
    fn address(&self) -> String {
        format!("sqlite:{}", self.file.display())
    }

    fn insert(&self, readings: &[Reading]) {
        wait_for(async {
            let mut connection = open(&self.file).await?;
            insert(&mut connection, readings.iter().copied()).await?;
            connection.close().await
        });
    }

    fn count(&self) -> usize {
        let count: i64 = wait_for(async {
            let mut connection = open(&self.file).await?;
            let count = sqlx::query_scalar("SELECT count(*) FROM meter_readings")
                .fetch_one(&mut connection)
                .await?;
            connection.close().await?;
            Ok(count)
        });
        usize::try_from(count).unwrap_or(usize::MAX)
    }

    fn server_cpu(&self) -> Option<f64> {
        None
    }

    fn sweep(&self) {}
}

impl Drop for SqliteQueue {
    fn drop(&mut self) {
        // What cannot be removed now is removed with the folder around it.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

async fn open(file: &Path) -> Result<SqliteConnection, sqlx::Error> {
    let options = SqliteConnectOptions::new()
        .filename(file)
        .create_if_missing(true);
    SqliteConnection::connect_with(&options).await
}

async fn fill(file: &Path, count: usize) -> Result<(), sqlx::Error> {
    let mut connection = open(file).await?;
    sqlx::raw_sql("PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF;")
        .execute(&mut connection)
        .await?;
    sqlx::raw_sql(DEPLOYED_TABLES)
        .execute(&mut connection)
        .await?;
    let mut readings = readings(count).peekable();
    while readings.peek().is_some() {
        let some = readings.by_ref().take(ROWS_PER_STATEMENT);
        insert(&mut connection, some).await?;
    }
    // A file that is copied must not have its end in another one.
    sqlx::raw_sql("PRAGMA wal_checkpoint(TRUNCATE);")
        .execute(&mut connection)
        .await?;
    connection.close().await
}

async fn insert(
    connection: &mut SqliteConnection,
    readings: impl Iterator<Item = Reading>,
) -> Result<(), sqlx::Error> {
    let rows = rows(readings);
    sqlx::query(INSERT).bind(rows).execute(connection).await?;
    Ok(())
}

/// Readings as an array of arrays, the form in which SQLite takes many rows as one parameter.
fn rows(readings: impl Iterator<Item = Reading>) -> String {
    let mut rows = String::from("[");
    for reading in readings {
        if rows.len() > 1 {
            rows.push(',');
        }
        let point = reading.point();
        // Writing into memory has no way to fail.
        let _ = write!(
            rows,
            r#"["{}","{}","{}",{},"{}"]"#,
            reading.meter(),
            reading.time().format("%Y-%m-%d %H:%M:%S"),
            point.name,
            reading.value(),
            point.unit
        );
    }
    rows.push(']');
    rows
}
