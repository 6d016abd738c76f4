//! Room on the disk for what the write-ahead log holds and the database does not. A program that reads for long keeps the
//! log from being emptied, and a log can only be emptied into a database that has room to grow: on a disk that the log has
//! filled nothing would ever go on.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use sqlx::{ConnectOptions, Connection, SqliteConnection};

use super::{SqliteStore, disk, options, place, room};
use crate::storage::StoreError;

/// A log is no longer than this while nobody keeps it from being emptied, but for a burst; the reserve covers it.
const SHORT: u64 = 8 << 20;
/// A log that is longer than this is longer than any burst leaves it, so that somebody must be reading all the time.
const LONGER_THAN_BURSTS: u64 = 2 * options::JOURNAL_SIZE_LIMIT;
/// Where more than this is free besides what the log may ask for, nothing has to be held.
const PLENTY: u64 = 256 << 20;
/// The room is held in pieces of this size, so that it is not exchanged with every change.
const PIECE: u64 = 1 << 20;
const PASSIVE: &str = "PRAGMA wal_checkpoint(PASSIVE)";
const TRUNCATE: &str = "PRAGMA wal_checkpoint(TRUNCATE)";

/// A file beside the database that is as large as what the log would make it grow by.
#[derive(Debug)]
pub(super) struct LogRoom {
    database: PathBuf,
    log: PathBuf,
    file: PathBuf,
    /// Bytes of log that a reader kept from being emptied, at the last look.
    kept_by_readers: AtomicU64,
}

impl LogRoom {
    /// The one that belongs to this database; nothing is held yet.
    pub(super) fn beside(database: &Path) -> Self {
        Self {
            database: database.to_owned(),
            log: place::log_of(database),
            file: disk::beside(database, ".log-reserve"),
            kept_by_readers: AtomicU64::new(0),
        }
    }

    /// Bytes of log that a reader keeps from being emptied; none where they are too few to matter.
    pub(super) fn kept_by_readers(&self) -> Option<u64> {
        let bytes = self.kept_by_readers.load(Ordering::Relaxed);
        (bytes > 0).then_some(bytes)
    }

    /// Whether the log might be too long for what is free.
    async fn is_tight(&self) -> bool {
        let log = length(&self.log);
        if log <= SHORT {
            return false;
        }
        // A page that the database has yet to grow for is in the log at least once.
        let free = disk::free_bytes(&self.database).await;
        free.is_none_or(|free| free < log + PLENTY)
    }

    /// Before something is added: sees to it that the log could still be emptied afterwards.
    ///
    /// # Errors
    /// [`StoreError::Full`] where there is no room for that.
    pub(super) async fn hold_for(
        &self,
        connection: &mut SqliteConnection,
    ) -> Result<(), StoreError> {
        if self.is_tight().await {
            self.hold(connection).await?;
        }
        Ok(())
    }

    async fn hold(&self, connection: &mut SqliteConnection) -> Result<(), StoreError> {
        let pages: i64 = sqlx::query_scalar(include_str!("queries/bytes_of_pages.sql"))
            .fetch_one(connection)
            .await?;
        let missing = pages
            .unsigned_abs()
            .saturating_sub(length(&self.database))
            .next_multiple_of(PIECE);
        if missing == length(&self.file) {
            return Ok(());
        }
        let file = self.file.clone();
        let held = disk::blocking(move || room::hold(&file, missing)).await;
        held.map_err(|error| {
            StoreError::Full(format!(
                "the log of the database could not be emptied any more ({error})"
            ))
        })
    }

    /// Gives the room to whoever takes it first.
    pub(super) async fn give_up(&self) {
        let file = self.file.clone();
        // One that is not there has been given up before.
        let _ = disk::blocking(move || fs::remove_file(file)).await;
    }

    fn is_held(&self) -> bool {
        self.file.exists()
    }
}

fn length(file: &Path) -> u64 {
    fs::metadata(file).map_or(0, |file| file.len())
}

impl SqliteStore {
    /// Empties a log that has become long as far as readers let it, and holds the room that the rest of it needs.
    ///
    /// # Errors
    /// [`StoreError::Full`] where that is not there.
    pub(super) async fn look_after_log(&self) -> Result<(), StoreError> {
        let room = &self.log_room;
        let is_tight = room.is_tight().await;
        if !is_tight && length(&room.log) <= LONGER_THAN_BURSTS {
            room.kept_by_readers.store(0, Ordering::Relaxed);
            if room.is_held() {
                room.give_up().await;
            }
            return Ok(());
        }
        // One of its own, which waits for nobody: a reader would hold up everything else that is written.
        let mut connection = options::writer_options(&self.path)
            .create_if_missing(false)
            .busy_timeout(Duration::ZERO)
            .connect()
            .await?;
        let looked = self.empty_log(&mut connection, is_tight).await;
        connection.close().await?;
        looked
    }

    async fn empty_log(
        &self,
        connection: &mut SqliteConnection,
        is_tight: bool,
    ) -> Result<(), StoreError> {
        let room = &self.log_room;
        let mut left = checkpoint(connection, PASSIVE).await;
        if matches!(left, Err(StoreError::Full(_))) && room.is_held() {
            // This is what it was held for.
            room.give_up().await;
            left = checkpoint(connection, PASSIVE).await;
        }
        if let Ok(left) = left {
            self.note_readers(left);
        }
        if !is_tight {
            return left.map(drop);
        }
        if matches!(left, Ok(0)) {
            // Whoever writes just now keeps it from being shortened until the next look.
            checkpoint(connection, TRUNCATE).await?;
        }
        room.hold(connection).await?;
        left.map(drop)
    }

    fn note_readers(&self, left: u64) {
        let kept = if left > SHORT { left } else { 0 };
        let before = self.log_room.kept_by_readers.swap(kept, Ordering::Relaxed);
        if kept > 0 && before == 0 {
            tracing::warn!(
                bytes = kept,
                "a program that has been reading from the sync database for long keeps its log from being emptied; it takes                  room on the disk until that program ends its transaction"
            );
        }
    }
}

/// Bytes of log that are not in the database yet. Nobody is waited for.
async fn checkpoint(
    connection: &mut SqliteConnection,
    statement: &'static str,
) -> Result<u64, StoreError> {
    let (_, frames, emptied): (i64, i64, i64) = sqlx::query_as(statement)
        .fetch_one(&mut *connection)
        .await?;
    let page: i64 = sqlx::query_scalar("PRAGMA page_size")
        .fetch_one(connection)
        .await?;
    // Both are negative where another connection was just at it.
    Ok((frames.max(0) - emptied.max(0)).max(0).unsigned_abs() * page.unsigned_abs())
}
