//! Notices that another connection committed something.

use std::path::{Path, PathBuf};

use sqlx::{ConnectOptions, SqliteConnection};
use tokio::sync::Mutex;

use super::{cells, options};
use crate::storage::StoreError;

/// Asks one connection, kept for this alone, for its data version: versions of two connections say nothing
/// about each other.
#[derive(Debug)]
pub(super) struct ForeignChanges {
    path: PathBuf,
    watch: Mutex<Watch>,
}

#[derive(Debug, Default)]
struct Watch {
    connection: Option<SqliteConnection>,
    /// Counts connections, so that a new one's version never looks like the old one's.
    generation: i64,
}

impl ForeignChanges {
    /// For the database in `path`; connects when first asked.
    pub(super) fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            watch: Mutex::default(),
        }
    }

    /// A number that changes with every commit of any other connection, our own write connection's included.
    pub(super) async fn version(&self) -> Result<i64, StoreError> {
        let mut watch = self.watch.lock().await;
        // Taken out while in use: whatever goes wrong in between, the next call starts with a new one.
        let mut connection = match watch.connection.take() {
            Some(connection) => connection,
            None => {
                watch.generation += 1;
                options::reader_options(&self.path).connect().await?
            }
        };
        let row = sqlx::query(include_str!("queries/data_version.sql"))
            .fetch_one(&mut connection)
            .await?;
        watch.connection = Some(connection);
        // SQLite's version is a 32-bit number.
        Ok((watch.generation << 32) | (cells::required_integer(&row, 0)? & 0xffff_ffff))
    }

    /// Lets the connection go.
    pub(super) async fn close(&self) {
        let connection = self.watch.lock().await.connection.take();
        if let Some(connection) = connection {
            // It only looked: nothing can be lost by a failure to close it.
            let _ = sqlx::Connection::close(connection).await;
        }
    }
}
