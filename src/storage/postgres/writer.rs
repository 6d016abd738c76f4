//! The one connection that writes. A transaction takes it out and brings it back when it has committed; one that
//! does not come back is closed, which undoes whatever it had begun, and the next one connects anew.

use std::sync::Arc;

use sqlx::{Connection, PgConnection};
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::{options::Server, presence};
use crate::storage::StoreError;

/// Lends the connection to one transaction at a time.
pub(super) struct Writer {
    server: Server,
    slot: Arc<Mutex<Option<PgConnection>>>,
}

/// The connection while a transaction has it.
pub(super) struct Lent {
    slot: OwnedMutexGuard<Option<PgConnection>>,
    connection: PgConnection,
}

impl Writer {
    /// Connects when first asked.
    pub(super) fn new(server: Server) -> Self {
        Self {
            server,
            slot: Arc::default(),
        }
    }

    /// Begins a transaction. A connection that broke while nobody used it is replaced without a word.
    pub(super) async fn begin(&self) -> Result<Lent, StoreError> {
        let mut slot = self.slot.clone().lock_owned().await;
        if let Some(mut connection) = slot.take()
            && begin(&mut connection).await.is_ok()
        {
            return Ok(Lent { slot, connection });
        }
        let mut connection = self.server.connect().await?;
        begin(&mut connection).await?;
        Ok(Lent { slot, connection })
    }

    /// Ends the lease of the instance, on a new connection where the old one does not work any more, and closes.
    pub(super) async fn close(&self, instance: &str) -> Result<(), StoreError> {
        let mut slot = self.slot.lock().await;
        if let Some(mut connection) = slot.take()
            && presence::end_lease(&mut connection, instance).await.is_ok()
        {
            return Ok(connection.close().await?);
        }
        let mut connection = self.server.connect().await?;
        presence::end_lease(&mut connection, instance).await?;
        Ok(connection.close().await?)
    }
}

async fn begin(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query("BEGIN").execute(connection).await.map(drop)
}

impl Lent {
    pub(super) fn connection(&mut self) -> &mut PgConnection {
        &mut self.connection
    }

    /// Commits, and gives the connection back if it still works.
    pub(super) async fn commit(mut self) -> Result<(), StoreError> {
        sqlx::query("COMMIT").execute(&mut self.connection).await?;
        *self.slot = Some(self.connection);
        Ok(())
    }
}
