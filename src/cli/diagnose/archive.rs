//! One file that a person can send: tar, compressed with gzip, for its owner's eyes only.

use std::{
    fs::OpenOptions,
    io,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use flate2::{Compression, write::GzEncoder};
use tar::{Builder, Header};

use crate::domain::timestamp::Timestamp;

/// For the owner alone.
const MODE: u32 = 0o600;

/// Writes the files, by name and contents, into a folder of this name.
///
/// # Errors
/// Where something is there already, and where it cannot be written.
pub(super) fn write(
    output: &Path,
    folder: &str,
    now: Timestamp,
    files: &[(&str, String)],
) -> io::Result<()> {
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(MODE)
        .open(output)?;
    let mut archive = Builder::new(GzEncoder::new(file, Compression::default()));
    for (name, text) in files {
        let mut header = Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(MODE);
        header.set_mtime(now.0.timestamp().unsigned_abs());
        let path: PathBuf = [folder, name].iter().collect();
        archive.append_data(&mut header, path, text.as_bytes())?;
    }
    archive.into_inner()?.finish()?.sync_all()
}
