//! Replaces a damaged database under the running service, and tells what is being done about it.

use std::{path::Path, sync::Arc};

use super::{SqliteStore, connections::Connections, salvage};
use crate::storage::StoreError;

/// SQLite would not say so.
const DAMAGED_LOG: &str = "its write-ahead log is damaged, and not only at its end";
/// What is answered meanwhile.
const UNDER_WAY: &str = "what can be read of it is being saved into a new one";

/// The damage that is known before the database is opened: SQLite would remove the log of a file that was cut off, and take a damaged log
/// for one that ends there.
///
/// # Errors
/// Where the file system cannot tell.
pub(super) fn known_damage(path: &Path, was_ours: bool) -> Result<Option<String>, StoreError> {
    let words = if salvage::is_interrupted(path)? {
        Some(UNDER_WAY)
    } else if was_ours && salvage::is_cut_off(path) {
        Some("its file was cut off, or emptied")
    } else if was_ours && salvage::has_damaged_log(path) {
        Some(DAMAGED_LOG)
    } else {
        if was_ours && salvage::has_doubtful_log(path) {
            tracing::warn!(
                "the write-ahead log of the sync database ends in what cannot be read: a transaction that was never finished, or commits that are lost"
            );
        }
        None
    };
    Ok(words.map(str::to_owned))
}

/// Fails where only looking at it would cost what is committed: SQLite removes a log of which it can read nothing.
pub(super) fn require_readable_log(path: &Path) -> Result<(), StoreError> {
    if salvage::has_damaged_log(path) {
        return Err(StoreError::Damaged(format!(
            "{DAMAGED_LOG}; start the service on it, which saves what can be read into a new one"
        )));
    }
    Ok(())
}

impl SqliteStore {
    /// Whoever has a connection loses it; whoever asks for one meanwhile is told what is going on. A second one waits for
    /// the first. What fails is begun again where it ended, as often as it takes.
    pub(super) async fn replace_damaged_file(&self) -> Result<(), StoreError> {
        let _replacing = self.replacing.lock().await;
        if self.damage.require_none().is_ok() && self.connections().is_ok() {
            return Ok(());
        }
        let before = self.exchange_connections(Err(StoreError::Damaged(UNDER_WAY.to_owned())));
        if let Ok(before) = before {
            before.close().await;
        }
        let replaced = self.replace_with_reserve().await;
        match replaced {
            Ok(connections) => {
                self.damage.forget();
                // Nobody else puts any there meanwhile.
                drop(self.exchange_connections(Ok(connections)));
                Ok(())
            }
            Err(error) => {
                let words = format!(
                    "saving what can be read of it into a new one has not succeeded yet: {error}; it is tried again by itself"
                );
                drop(self.exchange_connections(Err(StoreError::Damaged(words))));
                Err(error)
            }
        }
    }

    /// The room that is kept for emptying the queue is for this as well: nothing is emptied before.
    async fn replace_with_reserve(&self) -> Result<Arc<Connections>, StoreError> {
        match self.replace_and_open().await {
            Err(StoreError::Full(_)) => {
                self.reserve.give_up().await;
                self.log_room.give_up().await;
                self.replace_and_open().await
            }
            other => other,
        }
    }

    async fn replace_and_open(&self) -> Result<Arc<Connections>, StoreError> {
        let earlier = self.strays.known().await;
        salvage::replace(&self.path, &earlier, &salvage::open_gate).await?;
        let (connections, _, salvages) = Connections::open(&self.path).await?;
        self.strays.exchange(salvages).await;
        Ok(Arc::new(connections))
    }
}
