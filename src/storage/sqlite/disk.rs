//! The room that is left under the database.

use std::{
    fs::Metadata,
    io,
    path::{Path, PathBuf},
};

/// Bytes that this process may still write to the file system of `file`; none where that cannot be known.
#[cfg(unix)]
pub(super) async fn free_bytes(file: &Path) -> Option<u64> {
    let file = file.to_owned();
    let statistics = blocking(move || Ok(rustix::fs::statvfs(&file)?))
        .await
        .ok()?;
    statistics.f_bavail.checked_mul(statistics.f_frsize)
}

/// Not known on this kind of system.
#[cfg(not(unix))]
pub(super) async fn free_bytes(_file: &Path) -> Option<u64> {
    None
}

/// Asks the file system, which may answer late where it is on another machine; that must not stop everything else on this
/// thread.
pub(super) async fn blocking<T: Send + 'static>(
    ask: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let answer = tokio::task::spawn_blocking(ask).await;
    answer.map_err(io::Error::other)?
}

/// The file that belongs to `database` and bears its name with `suffix`.
pub(super) fn beside(database: &Path, suffix: &str) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Bytes of the disk that a file holds.
#[cfg(unix)]
pub(super) fn allocated(file: &Metadata) -> u64 {
    use std::os::unix::fs::MetadataExt;
    file.blocks() * 512
}

/// Not known on this kind of system.
#[cfg(not(unix))]
pub(super) fn allocated(file: &Metadata) -> u64 {
    file.len()
}
