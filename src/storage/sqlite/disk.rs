//! The room that is left under the database.

use std::path::Path;

/// Bytes that this process may still write to the file system of `file`; none where that cannot be known.
#[cfg(unix)]
pub(super) async fn free_bytes(file: &Path) -> Option<u64> {
    let file = file.to_owned();
    // A network file system may answer late, which must not stop everything else on this thread.
    let statistics = tokio::task::spawn_blocking(move || rustix::fs::statvfs(&file))
        .await
        .ok()?
        .ok()?;
    statistics.f_bavail.checked_mul(statistics.f_frsize)
}

/// Not known on this kind of system.
#[cfg(not(unix))]
pub(super) async fn free_bytes(_file: &Path) -> Option<u64> {
    None
}
