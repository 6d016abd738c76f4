//! Writes the rows of a chunk, each kind where it belongs, under ids of this database.

use std::collections::HashMap;

use serde_json::{Value, json};
use sqlx::PgConnection;

use super::{
    super::{cells, limits::Limits, manifests},
    OWNER,
    placing::place,
};
use crate::{
    domain::{
        batch::{Batch, Manifest},
        reading::ReadingId,
        reading_ids::ReadingIds,
        sync_log::SyncLogEntry,
        timestamp::Timestamp,
    },
    storage::{
        StoreError,
        import::{
            ImportError,
            chunk::{Chunk, MovedEntry, MovedKey, MovedNote, MovedReading, SetAside},
        },
    },
};

/// Writes the chunk; answers how many of its readings went into the quarantine.
pub(super) async fn put(
    connection: &mut PgConnection,
    limits: &Limits,
    chunk: &Chunk,
    now: Timestamp,
) -> Result<SetAside, ImportError> {
    let put = match chunk {
        Chunk::Batch { batch, readings } => {
            return put_batch(connection, limits, batch, readings, now).await;
        }
        Chunk::Readings(readings) => put_readings(connection, limits, readings, now).await,
        Chunk::Quarantine {
            ids,
            entries,
            notes,
        } => put_quarantine(connection, ids, entries, notes).await,
        Chunk::SyncLog(rows) => put_sync_log(connection, rows).await,
        Chunk::IngestionKeys(keys) => put_ingestion_keys(connection, keys).await,
    };
    put.map_err(ImportError::Target)
}

/// The n-th id stays the n-th reading of the body, also of those readings that are gone by now.
async fn put_batch(
    connection: &mut PgConnection,
    limits: &Limits,
    batch: &Batch,
    readings: &[MovedReading],
    now: Timestamp,
) -> Result<SetAside, ImportError> {
    let failed = |error: sqlx::Error| ImportError::Target(error.into());
    // Whoever claims reads the batches first and then the readings: this must not come in between.
    sqlx::query(include_str!("../queries/lock_claims.sql"))
        .execute(&mut *connection)
        .await
        .map_err(failed)?;
    let key = &batch.manifest.key;
    let known = sqlx::query(include_str!("../queries/import_known_batch.sql"))
        .bind(&key.0)
        .fetch_optional(&mut *connection)
        .await
        .map_err(failed)?;
    if known.is_some() {
        return Err(ImportError::Refused(format!(
            "batch {key} is in the new database already, so this file is a copy of one that was imported: importing it would \
             double readings. Take the file that was imported before"
        )));
    }
    let new_ids = fresh_ids(connection, "meter_readings", batch.len())
        .await
        .map_err(ImportError::Target)?;
    let new_id: HashMap<ReadingId, ReadingId> = batch
        .manifest
        .reading_ids
        .iter()
        .zip(new_ids.iter().copied())
        .collect();
    let moved = Batch {
        manifest: Manifest {
            // Fresh ids mean the rows that are put here, however this table writes down when they came in.
            reading_ids: new_ids.iter().copied().collect::<ReadingIds>(),
            epoch: 0,
            ..batch.manifest.clone()
        },
        body: batch.body.clone(),
    };
    let placed = async {
        manifests::insert(connection, OWNER, &moved).await?;
        let rows = readings
            .iter()
            .filter_map(|row| Some((*new_id.get(&row.contents.id)?, row)));
        place(connection, limits, rows, Some(key), now).await
    };
    placed.await.map_err(ImportError::Target)
}

async fn put_readings(
    connection: &mut PgConnection,
    limits: &Limits,
    readings: &[MovedReading],
    now: Timestamp,
) -> Result<SetAside, StoreError> {
    let ids = fresh_ids(connection, "meter_readings", readings.len()).await?;
    let rows = ids.into_iter().zip(readings);
    place(connection, limits, rows, None, now).await
}

/// Also entries that are gone get an id, for what was noted about them.
async fn put_quarantine(
    connection: &mut PgConnection,
    ids: &[i64],
    entries: &[MovedEntry],
    notes: &[MovedNote],
) -> Result<SetAside, StoreError> {
    let fresh = fresh_ids(connection, "quarantined_readings", ids.len()).await?;
    let new_id: HashMap<i64, i64> = ids.iter().copied().zip(fresh).collect();
    let entries: Vec<Value> = entries
        .iter()
        .map(|entry| {
            let columns = entry.columns.iter().map(storable_value);
            std::iter::once(json!(new_id.get(&entry.id)))
                .chain(columns)
                .collect()
        })
        .collect();
    execute(
        connection,
        include_str!("../queries/import_insert_entries.sql"),
        entries,
    )
    .await?;
    let notes = notes
        .iter()
        .map(|note| {
            json!([
                new_id.get(&note.quarantine_id),
                note.action,
                manifests::storable(&note.details),
                note.at.to_stored(),
            ])
        })
        .collect();
    execute(
        connection,
        include_str!("../queries/import_insert_notes.sql"),
        notes,
    )
    .await?;
    Ok(SetAside::default())
}

async fn put_sync_log(
    connection: &mut PgConnection,
    rows: &[SyncLogEntry],
) -> Result<SetAside, StoreError> {
    let rows = rows
        .iter()
        .map(|row| {
            json!([
                i32::try_from(row.batch_size).unwrap_or(i32::MAX),
                row.success,
                row.error_message.as_deref().map(manifests::storable),
                row.synced_at.map(Timestamp::to_stored),
            ])
        })
        .collect();
    let statement = include_str!("../queries/import_insert_sync_log.sql");
    execute(connection, statement, rows).await?;
    Ok(SetAside::default())
}

async fn put_ingestion_keys(
    connection: &mut PgConnection,
    keys: &[MovedKey],
) -> Result<SetAside, StoreError> {
    let rows = keys
        .iter()
        .map(|key| {
            json!([
                manifests::storable(&key.key),
                key.readings,
                key.fingerprint,
                key.created_at.to_stored(),
            ])
        })
        .collect();
    let statement = include_str!("../queries/import_insert_ingestion_keys.sql");
    execute(connection, statement, rows).await?;
    Ok(SetAside::default())
}

/// Ids that nobody else gets, ascending.
async fn fresh_ids(
    connection: &mut PgConnection,
    table: &'static str,
    count: usize,
) -> Result<Vec<i64>, StoreError> {
    let rows = sqlx::query(include_str!("../queries/import_fresh_ids.sql"))
        .bind(table)
        .bind(i64::try_from(count).unwrap_or(i64::MAX))
        .fetch_all(connection)
        .await?;
    let mut ids = Vec::with_capacity(rows.len());
    for row in &rows {
        ids.push(cells::get::<Option<i64>>(row, 0)?.ok_or_else(|| {
            StoreError::Unsuitable(format!(
                "column id of table {table} has no sequence of its own; \
                 give it one: ALTER SEQUENCE … OWNED BY {table}.id"
            ))
        })?);
    }
    ids.sort_unstable();
    Ok(ids)
}

/// A statement whose one parameter is a list of rows.
async fn execute(
    connection: &mut PgConnection,
    statement: &'static str,
    rows: Vec<Value>,
) -> Result<(), StoreError> {
    sqlx::query(statement)
        .bind(Value::from(rows).to_string())
        .execute(connection)
        .await?;
    Ok(())
}

fn storable_value(value: &Value) -> Value {
    value
        .as_str()
        .map_or_else(|| value.clone(), |text| manifests::storable(text).into())
}
