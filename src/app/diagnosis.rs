//! What somebody looks at who wants to know why a site does not upload: the way to the Client System, and the queue. Works
//! beside a running service and without one, and changes nothing.

use std::time::Duration;

use secrecy::ExposeSecret;
use tokio::sync::oneshot;

use super::migrations;
use crate::{
    actors::api_client,
    clock::Clock,
    domain::{
        link_probe::LinkProbe, queue_shape::QueueShape, store::StoreError, timestamp::Timestamp,
    },
    settings::{ClientSystemSettings, DatabaseSettings},
    storage::{MigrationState, postgres::PostgresStore, sqlite::SqliteStore},
};

/// Tries the way to the Client System, as the service goes it. It is not called before `held_until`.
pub async fn probe(settings: &ClientSystemSettings, held_until: Option<Timestamp>) -> LinkProbe {
    api_client::probe(settings, held_until, Clock::system()).await
}

/// Waits for locks are bounded by less; a queue of millions is counted in a second or two.
const LONGEST_LOOK: Duration = Duration::from_secs(20);

/// What the Sync Database looks like.
#[derive(Clone, Debug)]
pub struct DatabaseLook {
    /// Which steps it has seen.
    pub migrations: MigrationState,
    /// What waits in it; none where it is not in the present shape.
    pub queue: Option<QueueShape>,
}

/// Looks at the Sync Database, for a bounded time.
///
/// # Errors
/// As for opening the database, where a file is not there, and where it does not answer.
pub async fn look(settings: &DatabaseSettings) -> Result<DatabaseLook, StoreError> {
    let (sender, answer) = oneshot::channel();
    let settings = settings.clone();
    // A disk that hangs keeps its thread; nobody else needs this one.
    let thread = std::thread::Builder::new().spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let looked = runtime
            .map_err(|error| StoreError::Failed(error.to_string()))
            .and_then(|runtime| runtime.block_on(look_however_long(&settings)));
        // Nobody may wait any more.
        let _ = sender.send(looked);
    });
    thread.map_err(|error| StoreError::Failed(error.to_string()))?;
    match tokio::time::timeout(LONGEST_LOOK, answer).await {
        Ok(Ok(looked)) => looked,
        Ok(Err(_)) => Err(StoreError::Failed("the look at it failed".to_owned())),
        Err(_) => Err(StoreError::Silent),
    }
}

async fn look_however_long(settings: &DatabaseSettings) -> Result<DatabaseLook, StoreError> {
    let migrations = migrations::state(settings).await?;
    let queue = if migrations.missing.is_empty() {
        Some(match settings {
            DatabaseSettings::Sqlite { path } => SqliteStore::queue_shape(path).await?,
            DatabaseSettings::Postgres { url } => {
                PostgresStore::queue_shape(url.expose_secret()).await?
            }
        })
    } else {
        None
    };
    Ok(DatabaseLook { migrations, queue })
}
