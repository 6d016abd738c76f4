//! A database as the service leaves it, ways to damage it, and looks at what came of it.

use std::{
    fs::File,
    io::{Seek, SeekFrom, Write},
    path::PathBuf,
};

use sqlx::{AssertSqlSafe, Connection, SqliteConnection};

use super::super::{Gate, Strays, open_gate, remembered, replace};
use crate::{
    domain::store::Salvage,
    storage::{
        StoreError,
        sqlite::{migrations, options},
    },
};

pub const PAGE: u64 = 4096;

pub struct Site {
    folder: tempfile::TempDir,
}

impl Site {
    /// With so many readings, from this id on.
    pub async fn with_readings(readings: u32, from: i64) -> Self {
        let site = Self::empty().await;
        site.run(&format!(
            "INSERT INTO sqlite_sequence VALUES ('meter_readings', {});",
            from - 1
        ))
        .await;
        site.run(&insert("METER", readings)).await;
        site
    }

    pub async fn empty() -> Self {
        let site = Self {
            folder: tempfile::tempdir().expect("a folder"),
        };
        let pool = options::writer_pool(&site.path()).await.expect("a pool");
        let mut connection = pool.acquire().await.expect("a connection");
        migrations::run(&mut connection).await.expect("the tables");
        drop(connection);
        pool.close().await;
        site
    }

    pub fn path(&self) -> PathBuf {
        self.folder.path().join("sync.db")
    }

    pub async fn connect(&self) -> SqliteConnection {
        use sqlx::ConnectOptions;
        sqlx::sqlite::SqliteConnectOptions::new()
            .filename(self.path())
            .foreign_keys(false)
            .connect()
            .await
            .expect("a connection")
    }

    pub async fn run(&self, sql: &str) {
        let mut connection = self.connect().await;
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
            .execute(&mut connection)
            .await
            .expect(sql);
        connection.close().await.expect("closed");
    }

    pub async fn integer(&self, question: &str) -> i64 {
        let mut connection = self.connect().await;
        let answer = sqlx::query_scalar(AssertSqlSafe(question.to_owned()))
            .fetch_one(&mut connection)
            .await
            .expect(question);
        connection.close().await.expect("closed");
        answer
    }

    pub async fn count(&self, what: &str) -> i64 {
        self.integer(&format!("SELECT count(*) FROM {what}")).await
    }

    /// Every column of every row in exactly the form in which it is stored.
    pub async fn all(&self, table: &str, columns: &[&str]) -> Vec<String> {
        let columns: Vec<String> = columns
            .iter()
            .map(|name| format!("hex(CAST(quote({name}) AS BLOB)) || typeof({name})"))
            .collect();
        let question = format!(
            "SELECT {} FROM {table} ORDER BY id",
            columns.join(" || '|' || ")
        );
        let mut connection = self.connect().await;
        sqlx::query_scalar(AssertSqlSafe(question))
            .fetch_all(&mut connection)
            .await
            .expect("the rows")
    }

    pub async fn root(&self, name: &str) -> u64 {
        let root = self
            .integer(&format!(
                "SELECT rootpage FROM sqlite_schema WHERE name = '{name}'"
            ))
            .await;
        u64::try_from(root).expect("a page")
    }

    pub fn bytes(&self) -> Vec<u8> {
        std::fs::read(self.path()).expect("the file")
    }

    /// Pages that hold rows with this text, numbered from 1.
    pub fn leaves_with(&self, text: &str) -> Vec<u64> {
        let bytes = self.bytes();
        let pages = bytes.chunks(4096).enumerate();
        pages
            .filter(|(_, page)| {
                page[0] == 0x0d && page.windows(text.len()).any(|part| part == text.as_bytes())
            })
            .map(|(index, _)| index as u64 + 1)
            .collect()
    }

    /// Overwrites part of the file with what no page looks like.
    pub fn destroy(&self, from: u64, to: u64) {
        let mut file = File::options()
            .write(true)
            .open(self.path())
            .expect("the file");
        file.seek(SeekFrom::Start(from)).expect("there");
        let length = usize::try_from(to - from).expect("a length");
        file.write_all(&vec![0xab; length]).expect("written");
    }

    pub fn destroy_page(&self, page: u64) {
        self.destroy((page - 1) * PAGE, page * PAGE);
    }

    pub fn cut(&self, length: u64) {
        let file = File::options()
            .write(true)
            .open(self.path())
            .expect("the file");
        file.set_len(length).expect("cut");
    }

    pub async fn salvage(&self) -> Salvage {
        self.salvage_through(&open_gate).await.expect("a salvage")
    }

    pub async fn salvage_through(&self, gate: &Gate) -> Result<Salvage, StoreError> {
        replace(&self.path(), &[], gate).await?;
        let mut connection = self.connect().await;
        let salvage = remembered(&mut connection)
            .await?
            .into_iter()
            .next()
            .expect("what became of it");
        connection.close().await.expect("closed");
        Ok(salvage)
    }

    /// Takes over what came into the damaged database since.
    pub async fn take_in(&self, salvage: &Salvage) -> Salvage {
        let strays = Strays::default();
        strays.exchange(vec![salvage.clone()]).await;
        self.look(&strays).await
    }

    /// Looks once more.
    pub async fn look(&self, strays: &Strays) -> Salvage {
        let pool = options::writer_pool(&self.path()).await.expect("a pool");
        let salvages = strays.follow(Some(&pool)).await;
        pool.close().await;
        salvages.into_iter().next().expect("a salvage")
    }

    /// All that is remembered of damaged databases, the newest first.
    pub async fn remembered(&self) -> Vec<Salvage> {
        let mut connection = self.connect().await;
        let salvages = remembered(&mut connection).await.expect("an answer");
        connection.close().await.expect("closed");
        salvages
    }
}

/// So many readings of one meter, each different.
pub fn insert(meter: &str, readings: u32) -> String {
    format!(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {readings}) \
         INSERT INTO meter_readings (meter_external_id, timestamp, data_point, value, unit) \
         SELECT '{meter}-' || (i % 20), strftime('%Y-%m-%d %H:%M:%f', '2026-01-01', '+' || i || ' seconds'), \
         'active_energy', i || '.125', 'kWh' FROM n;"
    )
}
