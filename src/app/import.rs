//! Moves the queue of a site that outgrows SQLite into PostgreSQL.

use secrecy::ExposeSecret;

pub use crate::storage::import::ImportError;
use crate::{
    clock::Clock,
    domain::{
        import::{ImportOutcome, ImportProgress},
        timestamp::Timestamp,
    },
    settings::DatabaseSettings,
    storage::import::{self, CHUNK},
};

/// Moves everything; may be interrupted at any point and run again.
///
/// # Errors
/// Where this is not from SQLite into PostgreSQL, and where one of the databases fails or cannot be used.
pub async fn import(
    from: &DatabaseSettings,
    to: &DatabaseSettings,
    on_progress: impl FnMut(ImportProgress),
) -> Result<ImportOutcome, ImportError> {
    let (DatabaseSettings::Sqlite { path }, DatabaseSettings::Postgres { url }) = (from, to) else {
        return Err(ImportError::Refused(
            "queues are moved from SQLite into PostgreSQL and in no other direction; \
             give --from sqlite:FILE and --to postgres://USER@HOST/DATABASE"
                .to_owned(),
        ));
    };
    let clock = Clock::system();
    let now = || Timestamp(clock.now());
    import::import(path, url.expose_secret(), CHUNK, now, on_progress).await
}
