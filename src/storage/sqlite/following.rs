//! Opens what is at the path now where the file that was open is gone.

use std::sync::Arc;

use super::{SqliteStore, connections::Connections, place};
use crate::storage::StoreError;

impl SqliteStore {
    /// Whether another file was opened in place of the one that was open.
    ///
    /// # Errors
    /// Where the file is gone, and it is not clear yet what takes its place.
    pub(super) async fn follow_file(&self) -> Result<bool, StoreError> {
        match self.connections() {
            // That is mended elsewhere, and what is asked next is told.
            Err(StoreError::Damaged(_)) => return Ok(false),
            Ok(connections) if connections.place.is_kept() => {
                connections.place.note_log();
                return Ok(false);
            }
            _ => {}
        }
        if !self.patience.is_over(&self.path) {
            return Err(place::gone());
        }
        self.open_anew().await?;
        self.patience.reset();
        tracing::error!(path = %self.path.display(), "the file of the sync database was removed or replaced; what is there now was opened");
        Ok(true)
    }

    async fn open_anew(&self) -> Result<(), StoreError> {
        let _replacing = self.replacing.lock().await;
        if let Ok(before) = self.exchange_connections(Err(place::gone())) {
            before.close().await;
            before.place.leave_log();
        }
        match Connections::open(&self.path).await {
            Ok((connections, _, salvages)) => {
                self.strays.exchange(salvages).await;
                drop(self.exchange_connections(Ok(Arc::new(connections))));
                Ok(())
            }
            Err(error) => {
                drop(self.exchange_connections(Err(error.clone())));
                Err(error)
            }
        }
    }
}
