//! Moves a damaged database out of the way, with its write-ahead log, and puts another in its place. Whatever interrupts
//! it, it is gone on with from where it stands, and what other programs wrote meanwhile is never touched.
//!
//! A program that has the damaged database open goes on with the same files under their new names, for they are the same
//! to the operating system; SQLite itself sees that they have moved and then leaves alone what bears the old names. A
//! program that opens the database from the exchange on gets the new one. What remains is the moment between two renames:
//! a program that opens the old file then, or had opened it before and never asked anything of it, looks for its log under
//! the old name and finds the new database's. There is no way to move two files at once.

use std::{
    ffi::OsString,
    fs,
    io::{self, ErrorKind, Write},
    path::{Path, PathBuf},
    time::SystemTime,
};

use super::Gate;

/// The files beside a database that belong to it.
const COMPANIONS: [&str; 2] = ["-wal", "-shm"];

/// The step at which a test has a file system that knows no second names.
pub(super) const LINKING: &str = "while the damaged file gets a second name";

/// The files of one salvage.
#[derive(Clone, Debug)]
pub(super) struct Files {
    /// Where the service looks for the database.
    pub(super) database: PathBuf,
    /// The damaged one under its new name.
    pub(super) set_aside: PathBuf,
}

impl Files {
    /// A salvage that was interrupted, if there is one.
    pub(super) fn interrupted(database: &Path) -> io::Result<Option<Self>> {
        let database = real(database);
        match fs::read_to_string(intent(&database)) {
            Ok(set_aside) => Ok(Some(Self {
                set_aside: PathBuf::from(set_aside.trim_end()),
                database,
            })),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Begins a salvage: from here on it is gone on with, whatever happens.
    pub(super) fn begin(database: &Path) -> io::Result<Self> {
        let database = real(database);
        let set_aside = (1_u32..)
            .map(|number| with_suffix(&database, &format!(".damaged-{number}")))
            .find(|path| {
                let mut files = ["", COMPANIONS[0], COMPANIONS[1]].into_iter();
                files.all(|companion| !with_suffix(path, companion).exists())
            })
            .ok_or_else(|| io::Error::other("too many damaged databases lie here already"))?;
        let files = Self {
            database,
            set_aside,
        };
        // Under another name first: half an intent would name a file that is none.
        let new = with_suffix(&files.database, ".salvage-new");
        let mut written = fs::File::create(&new)?;
        written.write_all(files.set_aside.as_os_str().as_encoded_bytes())?;
        written.sync_all()?;
        fs::rename(new, intent(&files.database))?;
        files.sync_folder()?;
        Ok(files)
    }

    /// Damaged databases that lie here from before.
    pub(super) fn set_aside_before(&self) -> Vec<String> {
        let suffix = |number: u32| with_suffix(&self.database, &format!(".damaged-{number}"));
        let highest = self.set_aside.display().to_string();
        let highest = highest.rsplit('-').next().and_then(|end| end.parse().ok());
        let paths = (1..highest.unwrap_or(1)).map(suffix);
        let there = paths.filter(|path| path.exists());
        there.map(|path| path.display().to_string()).collect()
    }

    /// Whether the new database is in its place. What lies there then is never removed.
    pub(super) fn is_exchanged(&self) -> io::Result<bool> {
        if !self.set_aside.try_exists()? || !self.database.try_exists()? {
            return Ok(false);
        }
        Ok(!is_same(&self.database, &self.set_aside)?)
    }

    /// Where the damaged database lies now, and its log.
    pub(super) fn damaged(&self) -> (PathBuf, PathBuf) {
        let path = if self.set_aside.exists() {
            &self.set_aside
        } else {
            &self.database
        };
        let moved = with_suffix(&self.set_aside, COMPANIONS[0]);
        let is_exchanged = self.is_exchanged().unwrap_or(true);
        let log = if moved.exists() || is_exchanged {
            moved
        } else {
            with_suffix(&self.database, COMPANIONS[0])
        };
        (path.clone(), log)
    }

    /// Where the new database is made; what an interrupted try has left there is removed.
    pub(super) fn new_database(&self) -> io::Result<PathBuf> {
        let path = with_suffix(&self.database, ".salvaged");
        for companion in ["", COMPANIONS[0], COMPANIONS[1]] {
            remove(&with_suffix(&path, companion))?;
        }
        Ok(path)
    }

    /// When the damaged file and its log were last changed, and how long they are.
    pub(super) fn last_changed(&self) -> Stamps {
        let (database, log) = self.damaged();
        stamps(&database, &log)
    }

    /// Puts the new database, closed and whole, in the place of the damaged one.
    pub(super) fn exchange(&self, gate: &Gate) -> io::Result<()> {
        gate("before the damaged file has a second name")?;
        // With two names for the damaged file there is always one where other programs look.
        let is_linked = self.set_aside.exists() || self.link(gate)?;
        gate("before the log is moved")?;
        for companion in COMPANIONS {
            self.move_along(companion)?;
        }
        gate("before the damaged file is moved")?;
        if !is_linked {
            fs::rename(&self.database, &self.set_aside)?;
        }
        self.pass_on_rights();
        gate("before the new one is moved")?;
        fs::rename(with_suffix(&self.database, ".salvaged"), &self.database)?;
        gate("before the moves are durable")?;
        self.sync_folder()
    }

    /// The salvage is over.
    pub(super) fn finish(&self) -> io::Result<()> {
        remove(&intent(&self.database))?;
        self.sync_folder()
    }

    /// Gives the damaged file a second name; false on a file system where that cannot be.
    fn link(&self, gate: &Gate) -> io::Result<bool> {
        match gate(LINKING) {
            Err(error) if error.kind() == ErrorKind::Unsupported => return Ok(false),
            other => other?,
        }
        match fs::hard_link(&self.database, &self.set_aside) {
            Ok(()) => Ok(true),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::StorageFull) => {
                Err(error)
            }
            Err(error) => {
                tracing::debug!(%error, "the damaged database can only be renamed");
                Ok(false)
            }
        }
    }

    /// Whoever may write the damaged file may write the new one, as far as this process can see to that.
    fn pass_on_rights(&self) {
        let new = with_suffix(&self.database, ".salvaged");
        let Ok(damaged) = fs::metadata(&self.set_aside) else {
            return;
        };
        #[cfg(unix)]
        {
            use std::os::unix::fs::{MetadataExt, chown};
            if let Err(error) = chown(&new, Some(damaged.uid()), Some(damaged.gid())) {
                tracing::warn!(%error, "the new database belongs to another user than the damaged one");
            }
        }
        if let Err(error) = fs::set_permissions(&new, damaged.permissions()) {
            tracing::warn!(%error, "other programs may have lost the right to write the sync database");
        }
    }

    fn move_along(&self, companion: &str) -> io::Result<()> {
        let from = with_suffix(&self.database, companion);
        let mut to = with_suffix(&self.set_aside, companion);
        if !from.try_exists()? {
            return Ok(());
        }
        if to.try_exists()? {
            if is_same(&from, &to)? {
                return remove(&from);
            }
            // Somebody began another log between an interrupted exchange and this one. It is kept for a person.
            to = with_suffix(&self.set_aside, &format!("{companion}.later"));
            tracing::error!(kept = %to.display(), "another program opened a damaged database while it was moved");
        }
        fs::rename(from, to)
    }

    /// Makes what became of names in the folder survive the loss of power.
    fn sync_folder(&self) -> io::Result<()> {
        let folder = self
            .database
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        match fs::File::open(folder.unwrap_or(Path::new("."))) {
            Ok(folder) => folder.sync_all().or_else(|error| match error.kind() {
                // Not every file system has this for folders.
                ErrorKind::InvalidInput | ErrorKind::Unsupported => Ok(()),
                _ => Err(error),
            }),
            // Nor does every operating system open them.
            Err(_) if !cfg!(unix) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// How a file looks from outside: when it was last changed, and how many bytes it has; none where it cannot be looked at.
pub(super) type Stamp = Option<(SystemTime, u64)>;
/// How a database and its log look.
pub(super) type Stamps = [Stamp; 2];

pub(super) fn stamp(path: &Path) -> Stamp {
    let file = fs::metadata(path).ok()?;
    Some((file.modified().ok()?, file.len()))
}

pub(super) fn stamps(database: &Path, log: &Path) -> Stamps {
    [stamp(database), stamp(log)]
}

/// The write-ahead log of a database.
pub(super) fn log_of(database: &Path) -> PathBuf {
    with_suffix(&real(database), COMPANIONS[0])
}

/// Where links lead to: SQLite keeps the log there, and a rename would replace a link and not what it leads to.
fn real(database: &Path) -> PathBuf {
    database
        .canonicalize()
        .unwrap_or_else(|_| database.to_owned())
}

#[cfg(unix)]
fn is_same(one: &Path, other: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    let (one, other) = (fs::metadata(one)?, fs::metadata(other)?);
    Ok((one.dev(), one.ino()) == (other.dev(), other.ino()))
}

/// Where files have no numbers, no file is given a second name either.
#[cfg(not(unix))]
fn is_same(_one: &Path, _other: &Path) -> io::Result<bool> {
    Ok(false)
}

fn intent(database: &Path) -> PathBuf {
    with_suffix(database, ".salvage")
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
