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
    /// Bytes that were missing for emptying it, at the last look.
    lacking: AtomicU64,
}

impl LogRoom {
    /// The one that belongs to this database; nothing is held yet.
    pub(super) fn beside(database: &Path) -> Self {
        Self {
            database: database.to_owned(),
            log: place::log_of(database),
            file: disk::beside(database, ".log-reserve"),
            kept_by_readers: AtomicU64::new(0),
            lacking: AtomicU64::new(0),
        }
    }

    /// Bytes of log that a reader keeps from being emptied; none where they are too few to matter.
    pub(super) fn kept_by_readers(&self) -> Option<u64> {
        let bytes = self.kept_by_readers.load(Ordering::Relaxed);
        (bytes > 0).then_some(bytes)
    }

    /// Bytes that the disk lacks for the log to be emptied; none where it lacks nothing.
    pub(super) fn lacking(&self) -> Option<u64> {
        let bytes = self.lacking.load(Ordering::Relaxed);
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
            .saturating_sub(allocated(&self.database))
            .next_multiple_of(PIECE)
            // The file system's own books grow as well.
            + PIECE;
        let held = length(&self.file);
        let done = if missing == held {
            Ok(())
        } else {
            let file = self.file.clone();
            disk::blocking(move || room::hold(&file, missing)).await
        };
        let Err(error) = done else {
            self.lacking.store(0, Ordering::Relaxed);
            return Ok(());
        };
        if held == 0 {
            self.give_up().await;
        }
        let free = disk::free_bytes(&self.database).await.unwrap_or(0);
        let lacking = missing.saturating_sub(held).saturating_sub(free).max(1);
        self.lacking.store(lacking, Ordering::Relaxed);
        Err(StoreError::Full(format!(
            "the log of the database could not be emptied any more ({error})"
        )))
    }

    /// After the last connection: where that has emptied the log, nothing has to be held.
    pub(super) async fn give_up_unless_needed(&self) {
        if length(&self.log) == 0 {
            self.give_up().await;
        }
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

/// What a file holds of the disk: one that was written in places only holds less than its length.
fn allocated(file: &Path) -> u64 {
    fs::metadata(file).map_or(0, |file| file.len().min(disk::allocated(&file)))
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
            room.lacking.store(0, Ordering::Relaxed);
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
        match left {
            Ok(left) => self.note_readers(left),
            // Where the room is missing no reader is in the way.
            Err(StoreError::Full(_)) => self.note_readers(0),
            Err(_) => {}
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
                "a program that has been reading from the sync database for long keeps its log from being emptied; it takes room on the disk until that program ends its transaction"
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_that_was_written_in_places_holds_less_than_its_length() {
        use std::{io::Write, os::unix::fs::FileExt};

        let mut file = tempfile::NamedTempFile::new().expect("a file");
        file.write_all(&[1; 4096]).expect("a page");
        file.as_file()
            .write_all_at(&[1; 4096], 1 << 20)
            .expect("a page further on");
        let held = allocated(file.path());
        assert!((8192..1 << 20).contains(&held), "{held}");
        assert_eq!(length(file.path()), (1 << 20) + 4096);
        assert_eq!(allocated(&file.path().join("missing")), 0);
    }

    #[test]
    fn the_file_goes_once_there_is_no_log() {
        let folder = tempfile::tempdir().expect("a folder");
        let database = folder.path().join("sync.db");
        let room = LogRoom::beside(&database);
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        fs::write(&room.file, [0; 10]).expect("the file");
        fs::write(&room.log, [0; 10]).expect("the log");
        runtime.block_on(room.give_up_unless_needed());
        assert!(room.is_held());
        fs::remove_file(&room.log).expect("no log");
        runtime.block_on(room.give_up_unless_needed());
        assert!(!room.is_held());
    }
}
