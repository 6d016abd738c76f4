//! How connections to the file are set up.

use std::{
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use sqlx::{
    ConnectOptions, Connection, SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use crate::storage::StoreError;

/// How long a call waits for another program's lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a call waits for its turn on a connection; longer than one neighbour's wait for a lock.
const TURN_TIMEOUT: Duration = Duration::from_secs(15);
/// Readers besides the writer.
const READERS: u32 = 2;
/// Negative: KiB of pages that the writer keeps, those that it comes back to; what it goes through once is written early.
/// Four times as much would spare 3 % of a drain's instructions, and stay in memory for good.
const WRITER_CACHE: &str = "-512";
/// Negative: KiB of pages that each reader keeps.
const READER_CACHE: &str = "-256";
/// What the write-ahead log may keep of the disk after a burst, in bytes.
pub(super) const JOURNAL_SIZE_LIMIT: u64 = 64 << 20;
/// Rows that the engine's thread may run ahead by; handing rows over one by one is what reading costs.
const ROWS_AHEAD: usize = 1024;

/// The pool of the one write connection. A pool, because that replaces a connection that broke.
pub(super) async fn writer_pool(path: &Path) -> Result<SqlitePool, StoreError> {
    let options = writer_options(path);
    let pool = lasting_pool(1)
        // A rollback may fail where SQLite had rolled back by itself, on a full disk for example; the
        // connection would count itself inside a transaction for ever. The rollback is done by now, since
        // the connection was asked for a sign of life before.
        .before_acquire(|connection, _| Box::pin(async { Ok(!connection.is_in_transaction()) }))
        .after_connect(|_, _| {
            WRITERS_MADE.fetch_add(1, Ordering::Relaxed);
            Box::pin(std::future::ready(Ok(())))
        })
        .connect_with(options)
        .await?;
    Ok(pool)
}

/// Write connections made in this process. SQLite's own counts begin anew with each.
static WRITERS_MADE: AtomicU64 = AtomicU64::new(0);

/// A number that is another one whenever a write connection may have taken the place of another.
pub(super) fn writers_made() -> u64 {
    WRITERS_MADE.load(Ordering::Relaxed)
}

/// The pool of those who only look. They connect by and by, whether they are used or not: what a process holds after its first
/// minute is what it holds after a year.
pub(super) fn reader_pool(path: &Path) -> SqlitePool {
    lasting_pool(READERS)
        .min_connections(READERS)
        .connect_lazy_with(reader_options(path))
}

/// A connection that only looks.
pub(super) fn reader_options(path: &Path) -> SqliteConnectOptions {
    shared_options(path)
        .read_only(true)
        .pragma("cache_size", READER_CACHE)
}

/// A connection that writes.
pub(super) fn writer_options(path: &Path) -> SqliteConnectOptions {
    shared_options(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        // An acknowledged reading survives the loss of power.
        .synchronous(SqliteSynchronous::Full)
        .pragma("cache_size", WRITER_CACHE)
        .pragma("journal_size_limit", JOURNAL_SIZE_LIMIT.to_string())
}

fn shared_options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(BUSY_TIMEOUT)
        // None of our tables has any, and those of other programs must not keep readings from leaving.
        .foreign_keys(false)
        .row_buffer_size(ROWS_AHEAD)
        .disable_statement_logging()
}

fn lasting_pool(connections: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(TURN_TIMEOUT)
        .idle_timeout(None)
        .max_lifetime(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sqlx::{Executor, Row};

    async fn pool() -> (tempfile::TempDir, SqlitePool) {
        let folder = tempfile::tempdir().expect("a folder");
        let pool = writer_pool(&folder.path().join("sync.db"))
            .await
            .expect("a pool");
        (folder, pool)
    }

    #[tokio::test]
    async fn the_writer_is_set_up_to_survive_the_loss_of_power() {
        let (_folder, pool) = pool().await;
        for (pragma, expected) in [
            (
                "SELECT CAST(synchronous AS TEXT) FROM pragma_synchronous",
                "2",
            ),
            ("SELECT journal_mode FROM pragma_journal_mode", "wal"),
            (
                "SELECT CAST(timeout AS TEXT) FROM pragma_busy_timeout",
                "5000",
            ),
            (
                "SELECT CAST(foreign_keys AS TEXT) FROM pragma_foreign_keys",
                "0",
            ),
        ] {
            let row = pool.fetch_one(pragma).await.expect(pragma);
            assert_eq!(row.get::<String, _>(0), expected, "{pragma}");
        }
    }

    /// `.cargo/config.toml` says what is gained by it.
    #[tokio::test]
    async fn the_engine_is_built_without_locks_that_all_threads_share() {
        let (_folder, pool) = pool().await;
        let options = pool
            .fetch_all("SELECT compile_options FROM pragma_compile_options")
            .await
            .expect("what SQLite was built with");
        let options: Vec<String> = options.iter().map(|row| row.get(0)).collect();
        assert!(!options.is_empty());
        assert!(
            !options
                .iter()
                .any(|option| option == "ENABLE_MEMORY_MANAGEMENT"),
            "{options:?}"
        );
        assert!(
            options.iter().any(|option| option == "DEFAULT_MEMSTATUS=0"),
            "{options:?}"
        );
    }

    #[tokio::test]
    async fn all_readers_connect_though_nobody_asks_them() {
        let (folder, _writer) = pool().await;
        let readers = reader_pool(&folder.path().join("sync.db"));
        for _ in 0..1_000 {
            if readers.num_idle() == READERS as usize {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        panic!("only {} of {READERS} have connected", readers.num_idle());
    }

    #[tokio::test]
    async fn a_transaction_that_sqlite_ended_does_not_spoil_the_next() {
        let (_folder, pool) = pool().await;
        let mut transaction = pool
            .begin_with("BEGIN IMMEDIATE")
            .await
            .expect("a transaction");
        transaction
            .execute("ROLLBACK")
            .await
            .expect("SQLite ends it");
        drop(transaction);
        let next = pool
            .begin_with("BEGIN IMMEDIATE")
            .await
            .expect("the next one");
        next.commit().await.expect("it can be used");
    }

    #[tokio::test]
    async fn a_full_disk_is_called_that_and_passes() {
        let (_folder, pool) = pool().await;
        pool.execute("CREATE TABLE t (x); PRAGMA max_page_count = 20")
            .await
            .expect("little room");
        let mut transaction = pool
            .begin_with("BEGIN IMMEDIATE")
            .await
            .expect("a transaction");
        let full = transaction
            .execute("INSERT INTO t VALUES (zeroblob(1000000))")
            .await
            .expect_err("no room");
        assert!(matches!(StoreError::from(full), StoreError::Full(_)));
        drop(transaction);
        let mut next = pool
            .begin_with("BEGIN IMMEDIATE")
            .await
            .expect("the next one");
        next.execute("INSERT INTO t VALUES (1)")
            .await
            .expect("room for this");
        next.commit().await.expect("it can be used");
    }
}
