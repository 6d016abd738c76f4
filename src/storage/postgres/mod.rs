//! The Sync Database on a PostgreSQL server: opening it, and what every use of it shares. Several instances of this
//! service may share it.

mod adoption;
mod cells;
mod claims;
mod cleanup;
mod facts;
mod import;
mod ingestion;
mod inspection;
mod limits;
mod manifests;
mod meters;
mod migrations;
mod operation_log;
mod options;
mod paging;
mod presence;
mod quarantine;
mod queue;
mod readings;
mod requeue;
mod samples;
mod settlement;
mod sql_states;
mod store;
mod transaction;
mod writer;

use std::sync::Arc;

use sqlx::{PgPool, Postgres, pool::PoolConnection};
use uuid::Uuid;

pub(super) use self::{import::ImportTarget, sql_states::meaning};
use self::{options::Server, presence::Presence, queue::Cursors, writer::Writer};
use super::{MigrationState, StoreError, errors};

/// A Sync Database on a PostgreSQL server, as one of the instances that share it sees it.
///
/// All writes go through one connection, so that our own writers queue here and not in the server's locks.
pub struct PostgresStore {
    /// Names this instance as long as it runs.
    instance: Arc<str>,
    writer: Writer,
    readers: PgPool,
    presence: Presence,
    cursors: Arc<Cursors>,
}

impl PostgresStore {
    /// Connects to the database that `url` names; makes tables where they are missing, and takes over the tables of
    /// a deployed site.
    ///
    /// # Errors
    /// [`StoreError::Unsuitable`] where the tables cannot be taken over, any other where trying again later may
    /// help.
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        let server = Server::new(url)?;
        let mut connection = server.connect_for_migrations().await?;
        migrations::run(&mut connection).await?;
        let instance = Arc::<str>::from(Uuid::now_v7().to_string());
        presence::extend_lease(&mut connection, &instance).await?;
        let presence = Presence::new(&server, &instance);
        Ok(Self {
            writer: Writer::new(server.clone()),
            readers: server.reader_pool(),
            presence,
            cursors: Arc::default(),
            instance,
        })
    }

    /// How far a database is from the present shape. Changes nothing.
    ///
    /// # Errors
    /// As [`PostgresStore::open`].
    pub async fn migration_state(url: &str) -> Result<MigrationState, StoreError> {
        let mut connection = Server::new(url)?.connect().await?;
        migrations::state(&mut connection).await
    }

    /// Brings a database to the present shape, also while others use it; tells which steps it took.
    ///
    /// # Errors
    /// As [`PostgresStore::open`].
    pub async fn migrate(url: &str) -> Result<Vec<(i64, &'static str)>, StoreError> {
        let mut connection = Server::new(url)?.connect_for_migrations().await?;
        migrations::run(&mut connection).await
    }

    async fn reader(&self) -> Result<PoolConnection<Postgres>, StoreError> {
        Ok(self.readers.acquire().await?)
    }
}
