//! Keeps a second instance of this service away from the same file. Other programs are not meant.

use std::{
    ffi::OsString,
    fs::{File, TryLockError},
    io::{self, Seek, Write},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use crate::storage::{StoreError, errors};

/// What the lock's file holds until the database that was made with it has been in use: it may be empty until then.
const NOT_USED_YET: &[u8] = b"not used yet";

/// An operating system's lock on `<file>.lock`; ends with the process, however that ends.
#[derive(Debug)]
pub(super) struct InstanceLock(Mutex<Option<File>>);

impl InstanceLock {
    /// Whether an instance of this service ever had the database in `file`.
    pub(super) fn was_taken_before(file: &Path) -> bool {
        let Ok(file) = file.canonicalize() else {
            return false;
        };
        let mut path = OsString::from(file);
        path.push(".lock");
        std::fs::read(Path::new(&path)).is_ok_and(|note| note != NOT_USED_YET)
    }

    /// Takes the lock for the database in `file`, or says that another instance has it.
    pub(super) fn take(file: &Path) -> Result<Self, StoreError> {
        let is_new = !file.exists();
        let path = lock_path(file).map_err(|error| {
            errors::from_file_system(&format!("{} cannot be looked up", file.display()), &error)
        })?;
        let refused = |error: &io::Error| {
            errors::from_file_system(
                &format!("the lock {} cannot be taken", path.display()),
                error,
            )
        };
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(|error| refused(&error))?;
        match lock.try_lock() {
            Ok(()) => {
                if is_new {
                    note(&lock, NOT_USED_YET).map_err(|error| refused(&error))?;
                }
                Ok(Self(Mutex::new(Some(lock))))
            }
            Err(TryLockError::WouldBlock) => Err(StoreError::InUse(file.display().to_string())),
            Err(TryLockError::Error(error)) => Err(refused(&error)),
        }
    }

    /// The database is in use: should its file be found empty later, something was in it.
    pub(super) fn note_use(&self) {
        let lock = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(Err(error)) = lock.as_ref().map(|lock| note(lock, b"")) {
            tracing::debug!(%error, "that the database is in use cannot be noted");
        }
    }

    /// Lets other instances have the database.
    pub(super) fn release(&self) {
        // The file is left: removing it would let two instances lock two files of one name.
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

fn note(mut lock: &File, text: &[u8]) -> io::Result<()> {
    lock.set_len(0)?;
    lock.rewind()?;
    lock.write_all(text)
}

/// Beside the file itself, whatever links lead to it. One that does not exist yet is made, for a link may lead to
/// where it will be; one that exists is not opened, since closing it would end this process's SQLite locks on it.
fn lock_path(file: &Path) -> io::Result<PathBuf> {
    if !file.try_exists()? {
        File::create(file)?;
    }
    let mut path = OsString::from(file.canonicalize()?);
    path.push(".lock");
    Ok(path.into())
}
