//! Whether the file that is open is still the one that bears its name: a person may have removed it, or put another there.

use std::{
    fs::{self, Metadata},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use super::disk;
use crate::storage::StoreError;

/// Looks at a file that is not there before another is made: whoever replaces it may be about to.
const LOOKS_WITHOUT: u32 = 5;
/// Looks at another file that stays as it is before it is opened: whoever replaces it may still be writing.
const LOOKS_AT_SAME: u32 = 2;

/// What the operating system knows a file by.
type Identity = (u64, u64);

/// A file that is open, and the path at which it was.
#[derive(Debug)]
pub(super) struct Place {
    path: PathBuf,
    opened: Option<Identity>,
    log: Mutex<Option<Identity>>,
}

impl Place {
    /// Of the file that is there now, which has just been opened.
    pub(super) fn of(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            opened: identity(path),
            log: Mutex::default(),
        }
    }

    /// Whether the file is still there. Where files cannot be told apart it always is.
    pub(super) fn is_kept(&self) -> bool {
        self.opened.is_none() || identity(&self.path) == self.opened
    }

    /// Fails where it is not: what is written into a file that nobody will find is lost.
    pub(super) fn require_kept(&self) -> Result<(), StoreError> {
        if self.is_kept() {
            return Ok(());
        }
        Err(gone())
    }

    /// Remembers which log belongs to the file.
    pub(super) fn note_log(&self) {
        *locked(&self.log) = identity(&log_of(&self.path));
    }

    /// Moves the log of the file out of the way of another's, and leaves it for a person: it may hold what the file does
    /// not, wherever that is now.
    pub(super) fn leave_log(&self) {
        let log = log_of(&self.path);
        let known = *locked(&self.log);
        if known.is_none() || identity(&log) != known {
            return;
        }
        let mut kept = log.clone().into_os_string();
        kept.push(".left");
        match fs::rename(&log, &kept) {
            Ok(()) => {
                tracing::warn!(kept = ?kept, "the write-ahead log of the file that is gone was kept")
            }
            Err(error) => {
                tracing::error!(%error, "the write-ahead log of the file that is gone is in the way")
            }
        }
    }
}

/// What is said while another file is waited for.
pub(super) fn gone() -> StoreError {
    StoreError::Failed(
        "its file was removed or replaced while it was open; what is there then is opened in a moment"
            .to_owned(),
    )
}

/// Waits until it is clear what takes the place of a file that is gone.
#[derive(Debug, Default)]
pub(super) struct Patience(Mutex<(Option<Stamp>, u32)>);

/// A file as it looks from outside; none where there is no file.
type Stamp = Option<(Option<Identity>, u64, Option<SystemTime>)>;

impl Patience {
    /// Looks once more; tells whether it looked the same often enough.
    pub(super) fn is_over(&self, path: &Path) -> bool {
        let now: Stamp = fs::metadata(path)
            .ok()
            .map(|file| (identity_of(&file), file.len(), file.modified().ok()));
        let enough = if now.is_some() {
            LOOKS_AT_SAME
        } else {
            LOOKS_WITHOUT
        };
        let mut seen = locked(&self.0);
        seen.1 = if seen.0 == Some(now) { seen.1 + 1 } else { 1 };
        seen.0 = Some(now);
        seen.1 >= enough
    }

    /// It begins anew with the next file that is gone.
    pub(super) fn reset(&self) {
        *locked(&self.0) = (None, 0);
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn log_of(path: &Path) -> PathBuf {
    let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    disk::beside(&real, "-wal")
}

fn identity(path: &Path) -> Option<Identity> {
    identity_of(&fs::metadata(path).ok()?)
}

#[cfg(unix)]
fn identity_of(file: &Metadata) -> Option<Identity> {
    use std::os::unix::fs::MetadataExt;
    Some((file.dev(), file.ino()))
}

/// Files have no numbers on this kind of system.
#[cfg(not(unix))]
fn identity_of(_file: &Metadata) -> Option<Identity> {
    None
}
