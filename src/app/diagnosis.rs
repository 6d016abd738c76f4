//! What somebody looks at who wants to know why a site does not upload: the way to the Client System, and the queue. Works
//! beside a running service and without one, and changes nothing.

use secrecy::ExposeSecret;

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

/// What the Sync Database looks like.
#[derive(Clone, Debug)]
pub struct DatabaseLook {
    /// Which steps it has seen.
    pub migrations: MigrationState,
    /// What waits in it; none where it is not in the present shape.
    pub queue: Option<QueueShape>,
}

/// Looks at the Sync Database.
///
/// # Errors
/// As for opening the database, and where a file is not there.
pub async fn look(settings: &DatabaseSettings) -> Result<DatabaseLook, StoreError> {
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
