//! Brings the Sync Database to the present shape, or tells how far it is from it, whatever engine holds it.

use secrecy::ExposeSecret;

use crate::{
    domain::store::StoreError,
    settings::DatabaseSettings,
    storage::{MigrationState, postgres::PostgresStore, sqlite::SqliteStore},
};

/// Takes the steps that are missing, and tells which they were.
///
/// # Errors
/// As for opening the database. Steps that were done before stay done.
pub async fn migrate(settings: &DatabaseSettings) -> Result<Vec<(i64, &'static str)>, StoreError> {
    match settings {
        DatabaseSettings::Sqlite { path } => SqliteStore::migrate(path).await,
        DatabaseSettings::Postgres { url } => PostgresStore::migrate(url.expose_secret()).await,
    }
}

/// Which steps were done and which are missing. Changes nothing.
///
/// # Errors
/// As for opening the database, and where a file is not there yet.
pub async fn state(settings: &DatabaseSettings) -> Result<MigrationState, StoreError> {
    match settings {
        DatabaseSettings::Sqlite { path } => SqliteStore::migration_state(path).await,
        DatabaseSettings::Postgres { url } => {
            PostgresStore::migration_state(url.expose_secret()).await
        }
    }
}
