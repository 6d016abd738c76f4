//! The operating system tells of the next change of the files, so that nobody has to look while there is none.

use std::{io, path::Path};

/// Waits until something is written beside `path` that may be a change of the database there.
///
/// # Errors
/// When the operating system does not tell of changes there.
#[cfg(target_os = "linux")]
pub(super) async fn changed(path: &Path) -> io::Result<()> {
    use std::{mem::MaybeUninit, time::Duration};

    use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};

    use crate::storage::readable::readable;

    /// Changes of other files beside the database are looked at so often at the most.
    const BETWEEN_LOOKS: Duration = Duration::from_millis(100);

    // The log lies beside the file, wherever a link leads to it from.
    let path = &std::fs::canonicalize(path)?;
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let watch = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
    let changes = WatchFlags::MODIFY | WatchFlags::CREATE | WatchFlags::MOVE | WatchFlags::DELETE;
    let gone = WatchFlags::MOVE_SELF | WatchFlags::DELETE_SELF;
    inotify::add_watch(&watch, folder, changes | gone | WatchFlags::ONLYDIR)?;
    loop {
        readable(watch.try_clone()?).await?;
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut events = Reader::new(&watch, &mut buffer);
        loop {
            let event = match events.next() {
                Ok(event) => event,
                Err(rustix::io::Errno::WOULDBLOCK) => break,
                Err(error) => return Err(error.into()),
            };
            let is_lost = event
                .events()
                .intersects(ReadFlags::IGNORED | ReadFlags::QUEUE_OVERFLOW);
            let is_ours = event.file_name().is_none_or(|changed| {
                // The log of the database and the database itself.
                changed.to_bytes().starts_with(name.as_encoded_bytes())
            });
            if is_lost || is_ours {
                return Ok(());
            }
        }
        // Another program's log need not be followed line by line.
        tokio::time::sleep(BETWEEN_LOOKS).await;
    }
}

/// As on Linux, where nothing tells of changes.
#[cfg(not(target_os = "linux"))]
pub(super) async fn changed(_: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    use std::{fs, time::Duration};

    use super::*;

    #[tokio::test]
    async fn changes_of_the_database_alone_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sync.db");
        fs::write(&path, "x").unwrap();
        for (file, is_told) in [
            ("sync.db-wal", true),
            ("other.log", false),
            ("sync.db", true),
        ] {
            let told = tokio::spawn({
                let path = path.clone();
                async move { changed(&path).await }
            });
            // The watch begins with the first step of the task.
            tokio::time::sleep(Duration::from_millis(100)).await;
            assert!(!told.is_finished(), "{file}");
            fs::write(folder.path().join(file), "changed").unwrap();
            let patience = Duration::from_millis(if is_told { 30_000 } else { 300 });
            let told = tokio::time::timeout(patience, told).await;
            assert_eq!(told.is_ok(), is_told, "{file}");
        }
    }

    #[tokio::test]
    async fn a_folder_that_goes_is_told_and_one_that_is_not_there_refused() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("data");
        fs::create_dir(&place).unwrap();
        let path = place.join("sync.db");
        fs::write(&path, "x").unwrap();
        let told = tokio::spawn({
            let path = path.clone();
            async move { changed(&path).await }
        });
        tokio::time::sleep(Duration::from_millis(100)).await;
        fs::rename(&place, folder.path().join("elsewhere")).unwrap();
        tokio::time::timeout(Duration::from_secs(10), told)
            .await
            .expect("told")
            .unwrap()
            .unwrap();
        assert!(changed(&path).await.is_err());
    }
}
