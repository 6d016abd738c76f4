//! Room on the disk that nobody else can take, for the moment when there is none left: what empties the queue needs a
//! little, and frees more than it needs.

use std::{
    fs::File,
    io::{self, Write},
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

use rand::RngCore;

use super::disk;
use crate::domain::store::Reserve;

/// More than the write-ahead log of any transaction that claims or settles a batch.
const SIZE: u64 = 8 << 20;
/// It is made only where so much more is left besides.
const LEFT_BESIDES: u64 = SIZE;

/// A file beside the database that is good for nothing but its size.
#[derive(Debug)]
pub(super) struct ReserveFile {
    path: PathBuf,
    is_in_use: AtomicBool,
}

impl ReserveFile {
    /// The one that belongs to this database; not made yet.
    pub(super) fn beside(database: &Path) -> Self {
        let mut name = database.as_os_str().to_owned();
        name.push(".reserve");
        Self {
            path: name.into(),
            is_in_use: AtomicBool::new(false),
        }
    }

    /// Makes it where it is missing and there is room for it. Room within the database itself is as good for claims and
    /// settlements, though anybody may take it.
    pub(super) async fn keep(&self, free_within: u64) -> Reserve {
        if self.is_there().await {
            self.is_in_use.store(false, Ordering::Relaxed);
            return Reserve::Kept;
        }
        let folder = self
            .path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        let free = disk::free_bytes(folder.unwrap_or(Path::new("."))).await;
        if free.is_none_or(|free| free < SIZE + LEFT_BESIDES) {
            return self.state_without(free_within);
        }
        match self.blocking(|path| make(&path)).await {
            Ok(()) => {
                self.is_in_use.store(false, Ordering::Relaxed);
                Reserve::Kept
            }
            Err(error) => {
                tracing::warn!(%error, "no room on the disk can be kept for emptying the queue");
                // A part of it would only be in the way.
                let _ = self.blocking(std::fs::remove_file).await;
                self.state_without(free_within)
            }
        }
    }

    /// On a disk that has never had the room, nothing is held back either.
    fn state_without(&self, free_within: u64) -> Reserve {
        if free_within >= SIZE {
            self.is_in_use.store(false, Ordering::Relaxed);
        }
        if self.is_in_use.load(Ordering::Relaxed) {
            Reserve::InUse
        } else {
            Reserve::None
        }
    }

    /// Gives the room free: nothing else is left.
    pub(super) async fn give_up(&self) {
        let given = self.blocking(std::fs::remove_file).await.is_ok();
        self.is_in_use.store(true, Ordering::Relaxed);
        let bytes = if given { SIZE } else { 0 };
        tracing::warn!(
            bytes,
            "the disk is full; what empties the queue gets the room that was kept for it"
        );
    }

    /// Whether it was given up, and there has not been room for it since.
    pub(super) fn is_in_use(&self) -> bool {
        self.is_in_use.load(Ordering::Relaxed)
    }

    async fn is_there(&self) -> bool {
        let length = self.blocking(|path| std::fs::metadata(path).map(|file| file.len()));
        length.await.is_ok_and(|length| length >= SIZE)
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(PathBuf) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let path = self.path.clone();
        let done = tokio::task::spawn_blocking(move || work(path)).await;
        done.map_err(io::Error::other)?
    }
}

fn make(path: &Path) -> io::Result<()> {
    let file = File::create(path)?;
    if !allocated(&file) {
        fill(&file)?;
    }
    file.sync_all()
}

/// Whether the file system could set the room aside without anything being written.
#[cfg(target_os = "linux")]
fn allocated(file: &File) -> bool {
    rustix::fs::fallocate(file, rustix::fs::FallocateFlags::empty(), 0, SIZE).is_ok()
}

/// Not known how on this kind of system.
#[cfg(not(target_os = "linux"))]
fn allocated(_file: &File) -> bool {
    false
}

/// With contents that no file system makes any smaller.
fn fill(mut file: &File) -> io::Result<()> {
    let mut part = vec![0; 1 << 20];
    rand::rng().fill_bytes(&mut part);
    for _ in 0..SIZE / part.len() as u64 {
        file.write_all(&part)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_is_kept_given_up_and_kept_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let database = folder.path().join("sync.db");
        let reserve = ReserveFile::beside(&database);
        assert_eq!(reserve.keep(0).await, Reserve::Kept);
        let file = folder.path().join("sync.db.reserve");
        assert_eq!(std::fs::metadata(&file).expect("the file").len(), SIZE);
        reserve.give_up().await;
        assert!(reserve.is_in_use() && !file.exists());
        assert_eq!(reserve.keep(0).await, Reserve::Kept);
        assert!(!reserve.is_in_use());
    }

    #[test]
    fn without_room_on_the_disk_room_in_the_database_will_do() {
        let reserve = ReserveFile::beside(Path::new("sync.db"));
        assert_eq!(reserve.state_without(0), Reserve::None, "never had any");
        reserve.is_in_use.store(true, Ordering::Relaxed);
        assert_eq!(reserve.state_without(SIZE - 1), Reserve::InUse);
        assert_eq!(reserve.state_without(SIZE), Reserve::None);
    }
}
