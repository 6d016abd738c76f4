//! Opens the Sync Database, and waits for one that is not there yet instead of giving up.

use std::{sync::Arc, time::Duration};

use secrecy::ExposeSecret;

use super::StartError;
use crate::{
    clock::Clock,
    domain::backoff::Backoff,
    domain::store::StoreError,
    settings::DatabaseSettings,
    storage::{SyncStore, postgres::PostgresStore, sqlite::SqliteStore, waiting::WaitingStore},
};

/// Between tries to open a database that is not there yet.
const PATIENCE: Backoff = Backoff {
    base: Duration::from_secs(1),
    cap: Duration::from_secs(30),
};
/// Between tries to open one that is there and locked, each of which waits for the lock: a lock that is gone must not be blamed
/// for long.
const WHILE_LOCKED: Duration = Duration::from_secs(1);

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
    settings: DatabaseSettings,
}

impl Database {
    /// Tries once.
    ///
    /// # Errors
    /// When only a person can help: another process has the queue, or the tables are not ours.
    pub(super) async fn open(settings: &DatabaseSettings) -> Result<Self, StartError> {
        match open(settings).await {
            Ok(store) => Ok(Self::Open(store)),
            Err(error) if error.needs_a_person() => Err(error.into()),
            Err(error) => {
                tracing::error!(%error, "the sync database is not there yet; waiting for it");
                Ok(Self::Awaited(Awaited {
                    stand_in: Arc::new(WaitingStore::new(error)),
                    settings: settings.clone(),
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

async fn open(settings: &DatabaseSettings) -> Result<Arc<dyn SyncStore>, StoreError> {
    Ok(match settings {
        DatabaseSettings::Sqlite { path } => Arc::new(SqliteStore::open(path).await?),
        DatabaseSettings::Postgres { url } => {
            Arc::new(PostgresStore::open(url.expose_secret()).await?)
        }
    })
}

impl Awaited {
    /// Tries until it is open.
    pub(super) async fn open(self, clock: Clock) {
        let mut failures = 0;
        let mut pause = WHILE_LOCKED;
        loop {
            clock.sleep(pause).await;
            match open(&self.settings).await {
                Ok(store) => {
                    tracing::info!("the sync database is there");
                    return self.stand_in.opened(store);
                }
                Err(error) => {
                    failures += 1;
                    pause = match error {
                        StoreError::Busy(_) => WHILE_LOCKED,
                        _ => PATIENCE.delay(failures),
                    };
                    self.stand_in.still_closed(error);
                }
            }
        }
    }
}
