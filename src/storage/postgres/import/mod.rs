//! The queue as the target of an import: takes it chunk by chunk, each with a record of what it holds. Services may
//! run on it meanwhile.

mod copies;
mod moving;
mod placing;

use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use super::{cells, limits::Limits, migrations, options::Server};
use crate::{
    domain::timestamp::Timestamp,
    storage::{
        StoreError, errors,
        import::{
            ImportError, ImportNote,
            chunk::{Chunk, CopiedMeter, SetAside},
            records::TargetRecord,
            witness::Witness,
        },
    },
};

/// Who has the batches until a service takes them over: never a living instance.
const OWNER: &str = "import";

/// A queue that another one is moved into, through one connection of its own.
pub(in crate::storage) struct ImportTarget {
    connection: PgConnection,
    limits: Limits,
}

impl ImportTarget {
    /// Connects, and brings the database to the present shape as a service does.
    pub(in crate::storage) async fn open(url: &str) -> Result<Self, StoreError> {
        let server = Server::new(url)?;
        migrations::run(&mut server.connect_for_migrations().await?).await?;
        let mut connection = server.connect().await?;
        // What was committed here is deleted in the source at once, so it has to survive a crash of the server.
        sqlx::query(include_str!("../queries/import_durably.sql"))
            .execute(&mut connection)
            .await?;
        let limits = Limits::read(&mut connection).await?;
        Ok(Self { connection, limits })
    }

    /// Names this database, and whatever is restored from its backups.
    pub(in crate::storage) async fn identity(&mut self) -> Result<String, StoreError> {
        sqlx::query(include_str!("../queries/import_make_identity.sql"))
            .bind(Uuid::now_v7().to_string())
            .execute(&mut self.connection)
            .await?;
        let row = sqlx::query(include_str!("../queries/import_identity.sql"))
            .fetch_one(&mut self.connection)
            .await?;
        cells::get(&row, 0)
    }

    /// Keeps other imports of this source and its copies away as long as this connection lasts, and answers with what
    /// is known of it. Waits for the end of a run that lost its connection in the middle of a commit.
    pub(in crate::storage) async fn lock(
        &mut self,
        source: &str,
    ) -> Result<Option<TargetRecord>, StoreError> {
        sqlx::query(include_str!("../queries/import_lock.sql"))
            .bind(source)
            .execute(&mut self.connection)
            .await
            .map_err(|error| match StoreError::from(error) {
                StoreError::Busy(words) => StoreError::Busy(format!(
                    "{words}; another import of this file, or of a copy of it, is under way"
                )),
                other => other,
            })?;
        let row = sqlx::query(include_str!("../queries/import_record.sql"))
            .bind(source)
            .fetch_optional(&mut self.connection)
            .await?;
        let Some(row) = row else {
            return Ok(None);
        };
        let nonsense = |_| errors::nonsense("imports");
        Ok(Some(TargetRecord {
            run: cells::get(&row, 0)?,
            step: cells::get(&row, 1)?,
            rows: serde_json::from_str(cells::get(&row, 2)?).map_err(nonsense)?,
            account: serde_json::from_str(cells::get(&row, 3)?).map_err(nonsense)?,
        }))
    }

    /// A reading of every source that was imported.
    pub(in crate::storage) async fn witnesses(&mut self) -> Result<Vec<Witness>, StoreError> {
        let rows = sqlx::query(include_str!("../queries/import_witnesses.sql"))
            .fetch_all(&mut self.connection)
            .await?;
        rows.iter()
            .map(|row| {
                Ok(Witness {
                    id: cells::get(row, 0)?,
                    fingerprint: cells::get(row, 1)?,
                })
            })
            .collect()
    }

    /// Adds meters that are not known yet; returns how many cannot be held.
    pub(in crate::storage) async fn copy_meters(
        &mut self,
        meters: &[CopiedMeter],
    ) -> Result<u64, StoreError> {
        copies::meters(&mut self.connection, meters).await
    }

    /// Adds facts that are not known yet.
    pub(in crate::storage) async fn copy_facts(
        &mut self,
        facts: &[(String, String)],
    ) -> Result<(), StoreError> {
        copies::facts(&mut self.connection, facts).await
    }

    /// Begins the transaction of a chunk. One that is not committed ends with the connection.
    pub(in crate::storage) async fn begin(&mut self) -> Result<(), StoreError> {
        sqlx::query("BEGIN").execute(&mut self.connection).await?;
        Ok(())
    }

    /// Writes the chunk's rows, under new ids.
    pub(in crate::storage) async fn put(
        &mut self,
        chunk: &Chunk,
        now: Timestamp,
    ) -> Result<SetAside, ImportError> {
        moving::put(&mut self.connection, &self.limits, chunk, now).await
    }

    /// Writes down what the chunk holds.
    pub(in crate::storage) async fn note(
        &mut self,
        note: &ImportNote<'_>,
    ) -> Result<(), StoreError> {
        let unwritable = |error: serde_json::Error| StoreError::Failed(error.to_string());
        let written = sqlx::query(include_str!("../queries/import_note.sql"))
            .bind(note.source)
            .bind(&note.record.run)
            .bind(note.record.step)
            .bind(serde_json::to_string(&note.record.rows).map_err(unwritable)?)
            .bind(serde_json::to_string(&note.record.account).map_err(unwritable)?)
            .bind(note.witness.as_ref().map(|witness| witness.id))
            .bind(note.witness.as_ref().map(|witness| &witness.fingerprint))
            .bind(note.seen)
            .execute(&mut self.connection)
            .await?;
        if written.rows_affected() == 1 {
            return Ok(());
        }
        Err(StoreError::Busy(
            "another import of this file, or of a copy of it, has come in between".to_owned(),
        ))
    }

    /// Makes the chunk durable.
    pub(in crate::storage) async fn commit(&mut self) -> Result<(), StoreError> {
        sqlx::query("COMMIT").execute(&mut self.connection).await?;
        Ok(())
    }

    /// Ends the connection.
    pub(in crate::storage) async fn close(self) {
        // All that counted is committed.
        let _ = self.connection.close().await;
    }
}
