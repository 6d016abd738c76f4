//! PostgreSQL: the server that all tests share, and servers of their own for tests that restart, kill or starve one.

use std::{
    path::Path,
    process::{Command, Output, Stdio},
    thread,
};

use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};

/// Knows how a server is made, started and stopped.
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/postgres");
const DATABASE: &str = "/postgres";

/// The address of the shared server's own database `postgres`.
pub fn shared_server() -> String {
    std::env::var("METERIT_TEST_POSTGRES_URL").expect(
        "this test needs a PostgreSQL server: run tests/run, or start one and name it with \
         `export METERIT_TEST_POSTGRES_URL=$(tests/postgres start /tmp/postgres)`",
    )
}

/// The address of another database on the same server.
pub fn url_of(server: &str, database: &str) -> String {
    let address = server.strip_suffix(DATABASE);
    let address = address.unwrap_or_else(|| panic!("{server} must end in {DATABASE}"));
    format!("{address}/{database}")
}

/// Runs statements on a connection of their own, as another program does.
pub async fn execute(url: &str, sql: &str) -> Result<(), sqlx::Error> {
    let mut connection = PgConnection::connect(url).await?;
    sqlx::raw_sql(AssertSqlSafe(sql))
        .execute(&mut connection)
        .await?;
    connection.close().await
}

/// The first column of the first row as text, as another program sees it.
pub async fn ask(url: &str, sql: &str) -> Result<Option<String>, sqlx::Error> {
    let mut connection = PgConnection::connect(url).await?;
    let cast = format!("SELECT CAST(({sql}) AS TEXT)");
    let row = sqlx::query(AssertSqlSafe(cast))
        .fetch_one(&mut connection)
        .await?;
    connection.close().await?;
    row.try_get(0)
}

/// The first column of every row, all of them texts.
pub async fn list(url: &str, sql: &str) -> Result<Vec<String>, sqlx::Error> {
    let mut connection = PgConnection::connect(url).await?;
    let rows = sqlx::query_scalar(AssertSqlSafe(sql.to_owned()))
        .fetch_all(&mut connection)
        .await?;
    connection.close().await?;
    Ok(rows)
}

/// [`execute`] and [`ask`] for whoever cannot wait: a test without a runtime, or the end of a value.
pub mod blocking {
    use std::future::Future;

    use super::*;

    pub fn execute(url: &str, sql: &str) -> Result<(), sqlx::Error> {
        elsewhere(super::execute(url, sql))
    }

    pub fn ask(url: &str, sql: &str) -> Result<Option<String>, sqlx::Error> {
        elsewhere(super::ask(url, sql))
    }

    /// A thread of its own, since a runtime cannot be waited for within another.
    pub fn elsewhere<T: Send>(
        work: impl Future<Output = Result<T, sqlx::Error>> + Send,
    ) -> Result<T, sqlx::Error> {
        let run = || {
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?
                .block_on(work)
        };
        let ended = thread::scope(|scope| scope.spawn(run).join());
        ended.unwrap_or_else(|_| Err(sqlx::Error::WorkerCrashed))
    }
}

/// A server that belongs to one test; stopped and removed when the test lets go of it. Everything about it blocks.
pub struct PostgresServer {
    folder: tempfile::TempDir,
    url: String,
}

impl PostgresServer {
    /// A fresh server with the settings of the shared one.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// A fresh server with settings of PostgreSQL such as `fsync=on` or `max_connections=5`.
    pub fn start_with(settings: &[&str]) -> Self {
        // tests/run stops what is left under this name.
        let folder = tempfile::Builder::new()
            .prefix("postgres-")
            .tempdir()
            .unwrap();
        let url = succeed(script("start", folder.path(), settings));
        Self { folder, url }
    }

    /// The address of a database; there is one named `postgres` from the start.
    pub fn url(&self, database: &str) -> String {
        url_of(&self.url, database)
    }

    pub fn create_database(&self, name: &str) {
        blocking::execute(&self.url, &format!("CREATE DATABASE {name}")).expect("a new database");
    }

    /// Ends all connections and stops in good order.
    pub fn stop(&self) {
        succeed(script("stop", self.folder.path(), &["fast"]));
    }

    /// Stops as a crash does: the next start begins with recovery.
    pub fn crash(&self) {
        succeed(script("stop", self.folder.path(), &["immediate"]));
    }

    /// Starts a stopped server on its data and its port.
    pub fn start_again(&self) {
        let url = succeed(script("start", self.folder.path(), &[]));
        assert_eq!(url, self.url);
    }

    pub fn restart(&self) {
        self.stop();
        self.start_again();
    }

    /// Ends the connections whose database, program name or latest statement is LIKE the pattern, and waits until
    /// they are gone; answers how many there were.
    pub fn kill_backends(&self, like: &str) -> u64 {
        let killed = blocking::ask(
            &self.url,
            &format!(
                "SELECT count(*) FILTER (WHERE pg_terminate_backend(pid, 10000)) FROM pg_stat_activity \
                 WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() \
                 AND (datname LIKE '{like}' OR application_name LIKE '{like}' OR query LIKE '{like}')"
            ),
        );
        let killed = killed.expect("the server can be asked").expect("a count");
        killed.parse().unwrap()
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        // Whatever is wrong here, the test has failed already or is over.
        let _ = script("stop", self.folder.path(), &["immediate"]);
    }
}

/// The pipes end with the script: the server writes to a file in its folder.
fn script(action: &str, folder: &Path, further: &[&str]) -> std::io::Result<Output> {
    Command::new(SCRIPT)
        .arg(action)
        .arg(folder)
        .args(further)
        .stdin(Stdio::null())
        .output()
}

/// What the script has printed.
fn succeed(ended: std::io::Result<Output>) -> String {
    let output = ended.expect("tests/postgres and bash must be there");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
