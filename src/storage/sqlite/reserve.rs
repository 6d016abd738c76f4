//! Room on the disk that nobody else can take, for the moment when there is none left: what empties the queue needs a
//! little, and frees more than it needs.

use std::{
    io,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

use super::{disk, room};
use crate::domain::store::Reserve;

/// More than the write-ahead log of any transaction that claims or settles a batch, and than what such a log may hold of
/// pages for which the database itself has yet to grow.
pub(super) const SIZE: u64 = 8 << 20;
/// It is made only where so much more is left besides.
pub(super) const LEFT_BESIDES: u64 = SIZE;
/// Where the database has grown meanwhile, less has to do, and less is left besides.
const LEAST: u64 = SIZE / 2;

/// A file beside the database that is good for nothing but its size.
#[derive(Debug)]
pub(super) struct ReserveFile {
    path: PathBuf,
    is_in_use: AtomicBool,
}

impl ReserveFile {
    /// The one that belongs to this database; not made yet.
    pub(super) fn beside(database: &Path) -> Self {
        Self {
            path: disk::beside(database, ".reserve"),
            is_in_use: AtomicBool::new(false),
        }
    }

    /// Makes it where it is missing and there is room for it. On a disk that has never had the room, nothing is kept.
    pub(super) async fn keep(&self) -> Reserve {
        if self.is_there().await {
            return Reserve::Kept;
        }
        let folder = self
            .path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        let free = disk::free_bytes(folder.unwrap_or(Path::new("."))).await;
        if free.is_some_and(|free| free >= SIZE + LEFT_BESIDES) && self.make(SIZE).await {
            Reserve::Kept
        } else {
            Reserve::None
        }
    }

    /// Makes it again, smaller if it may; whether there was room for it.
    pub(super) async fn retake(&self, free: u64, may_be_smaller: bool) -> bool {
        if free >= SIZE + LEFT_BESIDES {
            self.make(SIZE).await
        } else {
            may_be_smaller && free >= 2 * LEAST && self.make(LEAST).await
        }
    }

    async fn make(&self, size: u64) -> bool {
        match self.blocking(move |path| room::hold(&path, size)).await {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(%error, "no room on the disk can be kept for emptying the queue");
                // A part of it would only be in the way.
                let _ = self.blocking(std::fs::remove_file).await;
                false
            }
        }
    }

    /// Gives the room free: nothing else is left.
    pub(super) async fn give_up(&self) {
        let bytes = self.blocking(|path| std::fs::metadata(path).map(|file| file.len()));
        let bytes = bytes.await.unwrap_or(0);
        // One that is not there has been given up before.
        let _ = self.blocking(std::fs::remove_file).await;
        self.note_use();
        tracing::warn!(
            bytes,
            "the disk is full; what empties the queue gets the room that was kept for it"
        );
    }

    /// Its room is needed, or was when this process started.
    pub(super) fn note_use(&self) {
        self.is_in_use.store(true, Ordering::Relaxed);
    }

    /// It is there again.
    pub(super) fn note_end_of_use(&self) {
        self.is_in_use.store(false, Ordering::Relaxed);
    }

    /// Whether it was given up, and there has not been room for it since.
    pub(super) fn is_in_use(&self) -> bool {
        self.is_in_use.load(Ordering::Relaxed)
    }

    async fn is_there(&self) -> bool {
        let length = self.blocking(|path| std::fs::metadata(path).map(|file| file.len()));
        length.await.is_ok_and(|length| length >= LEAST)
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(PathBuf) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let path = self.path.clone();
        disk::blocking(move || work(path)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_is_kept_given_up_and_taken_back() {
        let folder = tempfile::tempdir().expect("a folder");
        let database = folder.path().join("sync.db");
        let reserve = ReserveFile::beside(&database);
        assert_eq!(reserve.keep().await, Reserve::Kept);
        let file = folder.path().join("sync.db.reserve");
        let length = || std::fs::metadata(&file).expect("the file").len();
        assert_eq!(length(), SIZE);
        reserve.give_up().await;
        assert!(reserve.is_in_use() && !file.exists());
        assert!(!reserve.retake(2 * LEAST, false).await);
        assert!(!reserve.retake(2 * LEAST - 1, true).await && !file.exists());
        assert!(reserve.retake(2 * LEAST, true).await);
        assert_eq!(length(), LEAST);
        assert!(reserve.retake(SIZE + LEFT_BESIDES, false).await);
        assert_eq!(length(), SIZE);
        assert_eq!(reserve.keep().await, Reserve::Kept);
    }
}
