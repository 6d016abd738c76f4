//! Reads what is to be moved, the oldest of each kind first.

use sqlx::{Connection, SqliteConnection, sqlite::SqliteRow};

use super::super::{cells, claims, manifests, settlement};
use crate::{
    domain::{
        reading::{RawCell, ReadingId},
        sync_log::SyncLogEntry,
    },
    storage::{
        StoreError,
        import::{
            chunk::{Chunk, MovedEntry, MovedKey, MovedNote, MovedReading},
            witness::Witness,
        },
    },
};

/// Batches first, so that no other chunk holds their readings; the free readings last, since more of them may come in
/// for as long as it takes.
pub(super) async fn next_chunk(
    connection: &mut SqliteConnection,
    limit: usize,
) -> Result<Option<Chunk>, StoreError> {
    // A chunk of several tables is one moment of them.
    let mut snapshot = connection.begin().await?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    if let Some(chunk) = batch(&mut snapshot).await? {
        return Ok(Some(chunk));
    }
    if let Some(chunk) = quarantine(&mut snapshot, limit).await? {
        return Ok(Some(chunk));
    }
    let rows = rows(
        &mut snapshot,
        include_str!("../queries/import_sync_log.sql"),
        limit,
    )
    .await?;
    if !rows.is_empty() {
        return Ok(Some(Chunk::SyncLog(each(&rows, sync_log_entry)?)));
    }
    let rows = self::rows(
        &mut snapshot,
        include_str!("../queries/import_ingestion_keys.sql"),
        limit,
    )
    .await?;
    if !rows.is_empty() {
        return Ok(Some(Chunk::IngestionKeys(each(&rows, ingestion_key)?)));
    }
    let rows = self::rows(
        &mut snapshot,
        include_str!("../queries/import_readings.sql"),
        limit,
    )
    .await?;
    if rows.is_empty() {
        return Ok(None);
    }
    Ok(Some(Chunk::Readings(each(&rows, moved_reading)?)))
}

/// The reading with this id.
pub(super) async fn witness(
    connection: &mut SqliteConnection,
    id: ReadingId,
) -> Result<Option<Witness>, StoreError> {
    let row = sqlx::query(include_str!("../queries/readings_for_quarantine.sql"))
        .bind(settlement::id_list(&[id]))
        .fetch_optional(connection)
        .await?;
    row.map(|row| Ok(Witness::new(&claims::raw_reading(&row)?)))
        .transpose()
}

async fn batch(connection: &mut SqliteConnection) -> Result<Option<Chunk>, StoreError> {
    let row = sqlx::query(include_str!("../queries/import_batch.sql"))
        .fetch_optional(&mut *connection)
        .await?;
    let Some(row) = row else {
        return Ok(None);
    };
    let batch = manifests::with_body(&row)?;
    let ids: Vec<ReadingId> = batch.manifest.reading_ids.iter().collect();
    let rows = sqlx::query(include_str!("../queries/import_batch_readings.sql"))
        .bind(settlement::id_list(&ids))
        .fetch_all(connection)
        .await?;
    let readings = each(&rows, moved_reading)?;
    Ok(Some(Chunk::Batch { batch, readings }))
}

async fn quarantine(
    connection: &mut SqliteConnection,
    limit: i64,
) -> Result<Option<Chunk>, StoreError> {
    let rows = rows(
        connection,
        include_str!("../queries/import_quarantine_ids.sql"),
        limit,
    )
    .await?;
    if rows.is_empty() {
        return Ok(None);
    }
    let ids = each(&rows, |row| cells::required_integer(row, 0))?;
    let list = settlement::id_list(&ids);
    let entries = sqlx::query(include_str!("../queries/import_entries.sql"))
        .bind(list.clone())
        .fetch_all(&mut *connection)
        .await?;
    let notes = sqlx::query(include_str!("../queries/import_notes.sql"))
        .bind(list)
        .fetch_all(connection)
        .await?;
    Ok(Some(Chunk::Quarantine {
        ids,
        entries: each(&entries, entry)?,
        notes: each(&notes, note)?,
    }))
}

async fn rows(
    connection: &mut SqliteConnection,
    statement: &'static str,
    limit: i64,
) -> Result<Vec<SqliteRow>, StoreError> {
    let rows = sqlx::query(statement)
        .bind(limit)
        .fetch_all(connection)
        .await?;
    Ok(rows)
}

fn each<T>(
    rows: &[SqliteRow],
    read: impl Fn(&SqliteRow) -> Result<T, StoreError>,
) -> Result<Vec<T>, StoreError> {
    rows.iter().map(read).collect()
}

fn moved_reading(row: &SqliteRow) -> Result<MovedReading, StoreError> {
    Ok(MovedReading {
        contents: claims::raw_reading(row)?,
        // Whatever is not exactly this is pending, for the service as for the other programs.
        is_synchronized: cells::cell(row, 6)? == RawCell::Integer(1),
        retry_count: cells::integer(row, 7)?.unwrap_or_default(),
        created_at: cells::time(row, 8)?,
        created_at_text: cells::text(row, 8)?,
        synchronized_at: cells::time(row, 9)?,
    })
}

fn entry(row: &SqliteRow) -> Result<MovedEntry, StoreError> {
    let text = |index| Ok::<_, StoreError>(serde_json::json!(cells::text(row, index)?));
    let number = |index| Ok::<_, StoreError>(serde_json::json!(cells::integer(row, index)?));
    Ok(MovedEntry {
        id: cells::required_integer(row, 0)?,
        columns: vec![
            number(1)?,
            text(2)?,
            text(3)?,
            text(4)?,
            text(5)?,
            text(6)?,
            number(7)?,
            text(8)?,
            text(9)?,
            number(10)?,
            text(11)?,
            text(12)?,
            serde_json::json!(cells::required_time(row, 13)?.to_stored()),
        ],
    })
}

fn note(row: &SqliteRow) -> Result<MovedNote, StoreError> {
    Ok(MovedNote {
        quarantine_id: cells::required_integer(row, 0)?,
        action: cells::required_text(row, 1)?,
        details: cells::required_text(row, 2)?,
        at: cells::required_time(row, 3)?,
    })
}

fn sync_log_entry(row: &SqliteRow) -> Result<SyncLogEntry, StoreError> {
    Ok(SyncLogEntry {
        id: cells::required_integer(row, 0)?,
        batch_size: cells::integer(row, 1)?.unwrap_or_default(),
        success: cells::boolean(row, 2)?.unwrap_or_default(),
        error_message: cells::text(row, 3)?,
        synced_at: cells::time(row, 4)?,
    })
}

fn ingestion_key(row: &SqliteRow) -> Result<MovedKey, StoreError> {
    Ok(MovedKey {
        key: cells::required_text(row, 0)?,
        readings: cells::required_integer(row, 1)?,
        fingerprint: cells::required_text(row, 2)?,
        created_at: cells::required_time(row, 3)?,
    })
}
