//! Moves a damaged database out of the way, with its write-ahead log, so that whatever interrupts it is only begun again.

use std::{
    ffi::OsString,
    fs,
    io::{self, ErrorKind, Write},
    path::{Path, PathBuf},
};

/// The files beside a database that belong to it.
const COMPANIONS: [&str; 2] = ["-wal", "-shm"];

/// The files of one salvage.
#[derive(Clone, Debug)]
pub(super) struct Files {
    /// Where the service looks for the database.
    database: PathBuf,
    /// The damaged one under its new name.
    pub(super) set_aside: PathBuf,
}

impl Files {
    /// A salvage that was interrupted, if there is one.
    pub(super) fn interrupted(database: &Path) -> io::Result<Option<Self>> {
        match fs::read_to_string(intent(database)) {
            Ok(set_aside) => Ok(Some(Self {
                database: database.to_owned(),
                set_aside: PathBuf::from(set_aside.trim_end()),
            })),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Begins a salvage: from here on it is gone on with, whatever happens.
    pub(super) fn begin(database: &Path) -> io::Result<Self> {
        let mut names = (1_u32..).map(|number| format!(".damaged-{number}"));
        let set_aside = names
            .find_map(|name| {
                let path = with_suffix(database, &name);
                (!path.exists()).then_some(path)
            })
            .ok_or_else(|| io::Error::other("too many damaged databases lie here already"))?;
        let files = Self {
            database: database.to_owned(),
            set_aside,
        };
        // Another program may have the database open: it goes on with the same files under their new names.
        for companion in ["", COMPANIONS[0], COMPANIONS[1]] {
            link(
                &with_suffix(database, companion),
                &with_suffix(&files.set_aside, companion),
            )?;
        }
        let mut intent = fs::File::create(intent(database))?;
        intent.write_all(files.set_aside.as_os_str().as_encoded_bytes())?;
        intent.sync_all()?;
        Ok(files)
    }

    /// Where the new database is made; what an interrupted try has left there is removed.
    pub(super) fn new_database(&self) -> io::Result<PathBuf> {
        let path = with_suffix(&self.database, ".salvaged");
        for companion in ["", COMPANIONS[0], COMPANIONS[1]] {
            remove(&with_suffix(&path, companion))?;
        }
        Ok(path)
    }

    /// Puts the new database, closed and whole, in the place of the damaged one.
    pub(super) fn finish(&self) -> io::Result<()> {
        // A log of the damaged database beside the new one would be taken for its own.
        for companion in COMPANIONS {
            remove(&with_suffix(&self.database, companion))?;
        }
        let new = with_suffix(&self.database, ".salvaged");
        match fs::rename(new, &self.database) {
            // An earlier try came so far.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            other => other?,
        }
        remove(&intent(&self.database))
    }
}

fn intent(database: &Path) -> PathBuf {
    with_suffix(database, ".salvage")
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

fn link(from: &Path, to: &Path) -> io::Result<()> {
    match fs::hard_link(from, to) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
