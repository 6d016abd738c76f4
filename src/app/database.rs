//! Opens the Sync Database, and waits for one that is not there yet instead of giving up.

use std::{path::PathBuf, sync::Arc, time::Duration};

use super::StartError;
use crate::{
    clock::Clock,
    domain::store::StoreError,
    settings::DatabaseSettings,
    storage::{SyncStore, sqlite::SqliteStore, waiting::WaitingStore},
    supervision::backoff::Backoff,
};

/// Between tries to open a database that is not there yet.
const PATIENCE: Backoff = Backoff {
    base: Duration::from_secs(1),
    cap: Duration::from_secs(30),
};

/// What became of the first try.
pub(super) enum Database {
    /// It is open.
    Open(Arc<dyn SyncStore>),
    /// It is not there yet.
    Awaited(Awaited),
}

/// A database that is not there yet.
pub(super) struct Awaited {
    stand_in: Arc<WaitingStore>,
    path: PathBuf,
}

impl Database {
    /// Tries once.
    ///
    /// # Errors
    /// When only a person can help: another process has the queue, or the tables are not ours.
    pub(super) async fn open(settings: &DatabaseSettings) -> Result<Self, StartError> {
        let DatabaseSettings::Sqlite { path } = settings else {
            return Err(StartError::UnsupportedDatabase);
        };
        match SqliteStore::open(path).await {
            Ok(store) => Ok(Self::Open(Arc::new(store))),
            Err(error @ (StoreError::InUse(_) | StoreError::Unsuitable(_))) => Err(error.into()),
            Err(error) => {
                tracing::error!(%error, path = %path.display(), "the sync database is not there yet; waiting for it");
                Ok(Self::Awaited(Awaited {
                    stand_in: Arc::new(WaitingStore::new(error)),
                    path: path.clone(),
                }))
            }
        }
    }

    /// The database, or what stands in for it.
    pub(super) fn store(&self) -> Arc<dyn SyncStore> {
        match self {
            Self::Open(store) => store.clone(),
            Self::Awaited(awaited) => awaited.stand_in.clone(),
        }
    }
}

impl Awaited {
    /// Tries until it is open.
    pub(super) async fn open(self, clock: Clock) {
        let mut failures = 0;
        loop {
            failures += 1;
            clock.sleep(PATIENCE.delay(failures)).await;
            match SqliteStore::open(&self.path).await {
                Ok(store) => {
                    tracing::info!(path = %self.path.display(), "the sync database is there");
                    return self.stand_in.opened(Arc::new(store));
                }
                Err(error) => self.stand_in.still_closed(error),
            }
        }
    }
}
