//! The queue as the source of an import: reads it chunk by chunk, and deletes what has arrived in the other database.

mod copies;
mod reading;

use std::path::Path;

use sqlx::{ConnectOptions, Connection, SqliteConnection};

use super::{
    SqliteStore, cells, instance_lock::InstanceLock, mending, options, require_file, settlement,
};
use crate::{
    domain::{reading::ReadingId, reading_ids::ReadingIds},
    storage::{
        StoreError, SyncStore, errors,
        import::{
            ImportError,
            chunk::{self, Chunk, ChunkRows, CopiedMeter},
            records::SourceRecord,
            witness::Witness,
        },
    },
};

/// Where the service's facts keep the record of an import.
const RECORD: &str = "import";
/// Rows that are deleted with one statement.
const LIST: usize = 4096;

/// A queue that is moved elsewhere. No service has it meanwhile; other programs may still insert readings.
pub(in crate::storage) struct ImportSource(SqliteStore);

impl ImportSource {
    /// Takes the place of the service.
    pub(in crate::storage) async fn open(file: &Path) -> Result<Self, ImportError> {
        if let Err(error) = require_file(file) {
            return Err(ImportError::Refused(format!(
                "{error}; name the file of the queue that is to be moved"
            )));
        }
        // Nothing is asked of a log that SQLite would cut short.
        let was_ours = InstanceLock::was_taken_before(file);
        let damage = mending::known_damage(file, was_ours).map_err(ImportError::Source)?;
        if damage.is_none() {
            mending::require_readable_log(file).map_err(ImportError::Source)?;
        }
        if damage.is_none() && !holds_queue(file).await.map_err(ImportError::Source)? {
            return Err(ImportError::Refused(format!(
                "{} holds no table meter_readings, so it is no Sync Database; nothing was changed",
                file.display()
            )));
        }
        let store = SqliteStore::open(file).await.map_err(ImportError::Source)?;
        store.mend().await.map_err(ImportError::Source)?;
        Ok(Self(store))
    }

    /// Readings in it, whoever has them.
    pub(in crate::storage) async fn readings(&self) -> Result<u64, StoreError> {
        let row = sqlx::query(include_str!("../queries/import_expected.sql"))
            .fetch_one(&mut *self.0.reader().await?)
            .await?;
        cells::required_count(&row, 0)
    }

    /// What the file remembers of earlier imports.
    pub(in crate::storage) async fn record(&self) -> Result<Option<SourceRecord>, StoreError> {
        let row = sqlx::query(include_str!("../queries/fact.sql"))
            .bind(RECORD)
            .fetch_optional(&mut *self.0.reader().await?)
            .await?;
        let Some(row) = row else {
            return Ok(None);
        };
        serde_json::from_str(&cells::required_text(&row, 0)?)
            .map(Some)
            .map_err(|_| errors::nonsense("service_facts.import"))
    }

    /// Remembers how the import stands, durably.
    pub(in crate::storage) async fn remember(
        &self,
        record: &SourceRecord,
    ) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        remember(&mut transaction, record).await?;
        Ok(transaction.commit().await?)
    }

    /// The reading with this id, if there is one.
    pub(in crate::storage) async fn witness(
        &self,
        id: ReadingId,
    ) -> Result<Option<Witness>, StoreError> {
        reading::witness(&mut *self.0.reader().await?, id).await
    }

    /// Parts of a refused batch, of which nothing is stored for certain, become pending readings again.
    pub(in crate::storage) async fn dissolve_parts(&self) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        sqlx::query(include_str!("../queries/import_dissolve_parts.sql"))
            .execute(&mut *transaction)
            .await?;
        Ok(transaction.commit().await?)
    }

    /// What leaves next; none where nothing is left.
    pub(in crate::storage) async fn next_chunk(
        &self,
        limit: usize,
    ) -> Result<Option<Chunk>, StoreError> {
        reading::next_chunk(&mut *self.0.reader().await?, limit).await
    }

    /// Lets rows leave, and remembers that they have; durably, and both or nothing.
    pub(in crate::storage) async fn delete(
        &self,
        rows: &ChunkRows,
        record: &SourceRecord,
    ) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        delete(&mut transaction, rows).await?;
        remember(&mut transaction, record).await?;
        Ok(transaction.commit().await?)
    }

    /// All meters.
    pub(in crate::storage) async fn meters(&self) -> Result<Vec<CopiedMeter>, StoreError> {
        copies::meters(&mut *self.0.reader().await?).await
    }

    /// All remembered facts but the import's own.
    pub(in crate::storage) async fn facts(&self) -> Result<Vec<(String, String)>, StoreError> {
        copies::facts(&mut *self.0.reader().await?, RECORD).await
    }

    /// Lets a service have it again.
    pub(in crate::storage) async fn close(&self) {
        self.0.close().await;
    }

    async fn begin(&self) -> Result<sqlx::Transaction<'static, sqlx::Sqlite>, StoreError> {
        let begin = include_str!("../queries/begin.sql");
        Ok(self.0.connections()?.writer.begin_with(begin).await?)
    }
}

async fn holds_queue(file: &Path) -> Result<bool, StoreError> {
    let mut connection = options::reader_options(file).connect().await?;
    let found = sqlx::query(include_str!("../queries/table_kind.sql"))
        .bind("meter_readings")
        .fetch_optional(&mut connection)
        .await?
        .is_some();
    connection.close().await?;
    Ok(found)
}

async fn remember(
    connection: &mut SqliteConnection,
    record: &SourceRecord,
) -> Result<(), StoreError> {
    let text = serde_json::to_string(record).map_err(|error| {
        StoreError::Failed(format!(
            "the record of the import cannot be written: {error}"
        ))
    })?;
    sqlx::query(include_str!("../queries/remember_fact.sql"))
        .bind(RECORD)
        .bind(text)
        .execute(connection)
        .await?;
    Ok(())
}

async fn delete(connection: &mut SqliteConnection, rows: &ChunkRows) -> Result<(), StoreError> {
    match rows {
        ChunkRows::Batch { key, readings } => {
            super::manifests::remove(connection, key).await?;
            settlement::delete_readings(connection, &chunk::decode(readings)?).await
        }
        ChunkRows::Readings(readings) => {
            settlement::delete_readings(connection, &chunk::decode(readings)?).await
        }
        ChunkRows::Quarantine(ids) => {
            let ids = chunk::decode(ids)?;
            let entries = include_str!("../queries/import_delete_entries.sql");
            delete_list(connection, entries, &ids).await?;
            let notes = include_str!("../queries/import_delete_notes.sql");
            delete_list(connection, notes, &ids).await
        }
        ChunkRows::SyncLog(ids) => {
            let statement = include_str!("../queries/import_delete_sync_log.sql");
            delete_list(connection, statement, &chunk::decode(ids)?).await
        }
        ChunkRows::IngestionKeys(keys) => {
            sqlx::query(include_str!("../queries/import_delete_ingestion_keys.sql"))
                .bind(serde_json::json!(keys).to_string())
                .execute(connection)
                .await?;
            Ok(())
        }
    }
}

async fn delete_list(
    connection: &mut SqliteConnection,
    statement: &'static str,
    ids: &ReadingIds,
) -> Result<(), StoreError> {
    let ids: Vec<i64> = ids.iter().collect();
    for list in ids.chunks(LIST) {
        sqlx::query(statement)
            .bind(settlement::id_list(list))
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}
