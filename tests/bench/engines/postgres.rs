//! Databases on a PostgreSQL server, copied from one that was filled once.

use std::{
    collections::BTreeMap,
    env,
    process::{Command, Stdio, id},
};

use sqlx::{AssertSqlSafe, Connection, PgConnection};

use super::{Engine, Queue, wait_for};
use crate::{
    guard::Folder,
    measure,
    readings::{Reading, readings},
};

/// Knows how a server is made, started and stopped.
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/postgres");
/// As on a site: everything is synced to the disk, and checkpoints are rare.
const SETTINGS: [&str; 2] = ["fsync=on", "max_wal_size=4GB"];
/// What the deployed migrations have made: serial keys, times without zone, three indexes on the queue.
const DEPLOYED_TABLES: &str = include_str!("../../deployed_tables.sql");
const INSERT: &str = "\
    INSERT INTO meter_readings (meter_external_id, timestamp, data_point, value, unit) \
    SELECT * FROM unnest($1::text[], $2::text[]::timestamp[], $3::text[], $4::text[]::numeric[], $5::text[])";
const ROWS_PER_STATEMENT: usize = 10_000;

pub struct Postgres {
    server: Server,
    /// The databases that were filled, by the number of their readings.
    filled: BTreeMap<usize, Database>,
    queues: usize,
}

#[derive(Clone)]
struct Server {
    /// Up to the name of a database.
    address: String,
    /// Its first process, where it is on this machine.
    process: Option<u32>,
    /// Where it lives, if it is ours; stops with the last one who holds it.
    _folder: Option<std::sync::Arc<Folder>>,
}

impl Postgres {
    /// The server that METERIT_TEST_POSTGRES_URL names, or a temporary one.
    pub fn start() -> Self {
        let (url, folder) = match env::var("METERIT_TEST_POSTGRES_URL") {
            Ok(url) => (url, None),
            Err(_) => {
                let folder = Folder::with_last_action(
                    r#""$2" stop "$1/server" fast >/dev/null 2>&1;"#,
                    SCRIPT,
                );
                (start_in(&folder), Some(folder.into()))
            }
        };
        let (address, _) = url
            .rsplit_once('/')
            .unwrap_or_else(|| panic!("{url} must end in the name of a database"));
        let mut server = Server {
            address: address.to_owned(),
            process: None,
            _folder: folder,
        };
        server.process = server.find_process();
        Self {
            server,
            filled: BTreeMap::new(),
            queues: 0,
        }
    }

    fn new_database(&mut self, template: &str) -> Database {
        self.queues += 1;
        let name = format!("bench_{}_{}", id(), self.queues);
        let create = format!("CREATE DATABASE {name} TEMPLATE {template}");
        self.server.execute("postgres", &create);
        Database {
            server: self.server.clone(),
            name,
        }
    }

    fn fill(&mut self, count: usize) {
        let database = self.new_database("template1");
        if count > 0 {
            eprintln!("PostgreSQL: putting {count} readings into a database");
        }
        database.execute(DEPLOYED_TABLES);
        wait_for(fill(&database.address(), count));
        // On a site the server has long done so.
        database.execute("VACUUM ANALYZE meter_readings");
        self.filled.insert(count, database);
    }
}

impl Engine for Postgres {
    fn name(&self) -> String {
        let version: String = self.server.ask("postgres", "SHOW server_version");
        let number = version.split(' ').next().unwrap_or_default();
        format!("PostgreSQL {number}")
    }

    fn empty(&mut self) -> Box<dyn Queue> {
        self.filled(0)
    }

    fn filled(&mut self, readings: usize) -> Box<dyn Queue> {
        if !self.filled.contains_key(&readings) {
            self.fill(readings);
        }
        let template = self.filled[&readings].name.clone();
        let database = self.new_database(&template);
        // What is written back later would be written at the expense of what is measured.
        database.execute("CHECKPOINT");
        Box::new(database)
    }
}

/// A database that is dropped with this.
struct Database {
    server: Server,
    name: String,
}

impl Database {
    fn execute(&self, statements: &str) {
        self.server.execute(&self.name, statements);
    }
}

impl Queue for Database {
    fn address(&self) -> String {
        self.server.url(&self.name)
    }

    fn insert(&self, readings: &[Reading]) {
        wait_for(async {
            let mut connection = PgConnection::connect(&self.address()).await?;
            insert(&mut connection, readings).await?;
            connection.close().await
        });
    }

    fn count(&self) -> usize {
        let count: i64 = self
            .server
            .ask(&self.name, "SELECT count(*) FROM meter_readings");
        usize::try_from(count).unwrap_or(usize::MAX)
    }

    fn server_cpu(&self) -> Option<f64> {
        self.server.process.map(measure::family_cpu_seconds)
    }

    fn sweep(&self) {
        self.execute("VACUUM meter_readings");
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let drop = format!("DROP DATABASE {} WITH (FORCE)", self.name);
        self.server.execute("postgres", &drop);
    }
}

impl Server {
    fn url(&self, database: &str) -> String {
        format!("{}/{database}", self.address)
    }

    fn execute(&self, database: &str, statements: &str) {
        wait_for(async {
            let mut connection = PgConnection::connect(&self.url(database)).await?;
            sqlx::raw_sql(AssertSqlSafe(statements.to_owned()))
                .execute(&mut connection)
                .await?;
            connection.close().await
        });
    }

    fn ask<T>(&self, database: &str, question: &'static str) -> T
    where
        T: Send + Unpin + for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
    {
        wait_for(async {
            let mut connection = PgConnection::connect(&self.url(database)).await?;
            let answer = sqlx::query_scalar(question)
                .fetch_one(&mut connection)
                .await?;
            connection.close().await?;
            Ok(answer)
        })
    }

    /// The parent of whoever serves us, if that process is on this machine.
    fn find_process(&self) -> Option<u32> {
        wait_for(async {
            let mut connection = PgConnection::connect(&self.url("postgres")).await?;
            let ours: i32 = sqlx::query_scalar("SELECT pg_backend_pid()")
                .fetch_one(&mut connection)
                .await?;
            // The process lives for as long as its connection.
            let server = ours.try_into().ok().and_then(measure::parent);
            connection.close().await?;
            Ok(server.filter(|server| measure::name(*server).as_deref() == Some("postgres")))
        })
    }
}

fn start_in(folder: &Folder) -> String {
    let output = Command::new(SCRIPT)
        .arg("start")
        .arg(folder.path().join("server"))
        .args(SETTINGS)
        .stdin(Stdio::null())
        .output()
        .expect("tests/postgres and bash must be there");
    assert!(
        output.status.success(),
        "{}\ninstall what is missing with `tests/run prepare`, or measure with `--engine sqlite`",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

async fn fill(url: &str, count: usize) -> Result<(), sqlx::Error> {
    let mut connection = PgConnection::connect(url).await?;
    let mut readings = readings(count).peekable();
    while readings.peek().is_some() {
        let rows: Vec<Reading> = readings.by_ref().take(ROWS_PER_STATEMENT).collect();
        insert(&mut connection, &rows).await?;
    }
    connection.close().await
}

async fn insert(connection: &mut PgConnection, readings: &[Reading]) -> Result<(), sqlx::Error> {
    let column = |cell: fn(&Reading) -> String| readings.iter().map(cell).collect::<Vec<_>>();
    sqlx::query(INSERT)
        .bind(column(|reading| reading.meter()))
        .bind(column(|reading| reading.time().naive_utc().to_string()))
        .bind(column(|reading| reading.point().name.to_owned()))
        .bind(column(|reading| reading.value()))
        .bind(column(|reading| reading.point().unit.to_owned()))
        .execute(connection)
        .await?;
    Ok(())
}
