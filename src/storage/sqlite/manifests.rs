//! The table `upload_manifests`.

use std::sync::{Arc, LazyLock};

use sqlx::{Row, SqliteConnection, sqlite::SqliteRow};

use super::{
    cells,
    pieces::{Insert, pieces},
};
use crate::{
    domain::{
        batch::{Batch, IdempotencyKey, Manifest, ManifestState},
        reading_ids::ReadingIds,
    },
    storage::{Flight, StoreError, errors},
};

/// One process serves the queue, so no manifest ever changes hands.
pub(super) const EPOCH: u32 = 0;

/// Rows per statement, as many as a claim mostly brings.
const CHUNKS: [usize; 2] = [8, 1];

static INSERTS: LazyLock<[String; 2]> = LazyLock::new(|| {
    CHUNKS.map(|rows| {
        let row = "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
        format!(
            "{}{}",
            include_str!("queries/insert_manifests.sql"),
            vec![row; rows].join(",")
        )
    })
});

/// Writes manifests with their bodies.
pub(super) async fn insert(
    connection: &mut SqliteConnection,
    batches: &[Batch],
) -> Result<(), StoreError> {
    for (query, piece) in pieces(CHUNKS, &INSERTS, batches) {
        let query = piece.iter().fold(query, bind);
        query.execute(&mut *connection).await?;
    }
    Ok(())
}

fn bind(query: Insert, batch: &Batch) -> Insert {
    let manifest = &batch.manifest;
    query
        .bind(manifest.key.0.clone())
        .bind(manifest.root.0.clone())
        .bind(manifest.state.name())
        .bind(manifest.attempts)
        .bind(manifest.failed_passes)
        .bind(manifest.last_error.clone())
        .bind(manifest.last_status)
        .bind(manifest.claimed_at.to_stored())
        .bind(i64::try_from(batch.len()).unwrap_or(i64::MAX))
        .bind(manifest.reading_ids.encode())
        .bind(Arc::clone(&batch.body))
}

/// All of them, oldest first, without bodies.
pub(super) async fn all(connection: &mut SqliteConnection) -> Result<Vec<Manifest>, StoreError> {
    let rows = sqlx::query(include_str!("queries/manifests.sql"))
        .fetch_all(connection)
        .await?;
    rows.iter().map(manifest).collect()
}

/// Those in a state, oldest first, without bodies; of one root only where given.
pub(super) async fn in_state(
    connection: &mut SqliteConnection,
    state: ManifestState,
    root: Option<&IdempotencyKey>,
) -> Result<Vec<Manifest>, StoreError> {
    let rows = sqlx::query(include_str!("queries/manifests_in_state.sql"))
        .bind(state.name())
        .bind(root.map(|root| root.0.clone()))
        .fetch_all(connection)
        .await?;
    rows.iter().map(manifest).collect()
}

/// How many readings they hold, how many of them are parked, and why.
pub(super) async fn flight(connection: &mut SqliteConnection) -> Result<Flight, StoreError> {
    let row = sqlx::query(include_str!("queries/flight.sql"))
        .fetch_one(connection)
        .await?;
    Ok(Flight {
        readings: cells::required_count(&row, 0)?,
        parked: cells::required_count(&row, 1)?,
        parked_error: cells::text(&row, 2)?,
        abandoned: false,
    })
}

/// One with its body; none once it is settled.
pub(super) async fn batch(
    connection: &mut SqliteConnection,
    key: &IdempotencyKey,
) -> Result<Option<Batch>, StoreError> {
    let row = by_key(connection, include_str!("queries/batch.sql"), key).await?;
    row.as_ref().map(with_body).transpose()
}

/// Overwrites what may change.
pub(super) async fn update(
    connection: &mut SqliteConnection,
    manifest: &Manifest,
) -> Result<(), StoreError> {
    sqlx::query(include_str!("queries/update_manifest.sql"))
        .bind(manifest.key.0.clone())
        .bind(manifest.state.name())
        .bind(manifest.attempts)
        .bind(manifest.failed_passes)
        .bind(manifest.last_error.clone())
        .bind(manifest.last_status)
        .execute(connection)
        .await?;
    Ok(())
}

/// Removes one.
pub(super) async fn remove(
    connection: &mut SqliteConnection,
    key: &IdempotencyKey,
) -> Result<(), StoreError> {
    sqlx::query(include_str!("queries/remove_manifest.sql"))
        .bind(key.0.clone())
        .execute(connection)
        .await?;
    Ok(())
}

/// Removes one and hands it over; none once it is settled.
pub(super) async fn take(
    connection: &mut SqliteConnection,
    key: &IdempotencyKey,
) -> Result<Option<Batch>, StoreError> {
    let row = by_key(connection, include_str!("queries/take_batch.sql"), key).await?;
    row.as_ref().map(with_body).transpose()
}

async fn by_key(
    connection: &mut SqliteConnection,
    statement: &'static str,
    key: &IdempotencyKey,
) -> Result<Option<SqliteRow>, StoreError> {
    let row = sqlx::query(statement)
        .bind(key.0.clone())
        .fetch_optional(connection)
        .await?;
    Ok(row)
}

/// A row whose columns are the manifest's and the body.
pub(super) fn with_body(row: &SqliteRow) -> Result<Batch, StoreError> {
    Ok(Batch {
        manifest: manifest(row)?,
        body: row.try_get::<Vec<u8>, _>(9)?.into(),
    })
}

/// A row whose first columns are the manifest's, all but the body.
fn manifest(row: &SqliteRow) -> Result<Manifest, StoreError> {
    let ids = cells::required_text(row, 8)?;
    Ok(Manifest {
        key: IdempotencyKey(cells::required_text(row, 0)?),
        root: IdempotencyKey(cells::required_text(row, 1)?),
        state: ManifestState::from_name(&cells::required_text(row, 2)?)
            .ok_or_else(|| errors::nonsense("upload_manifests.state"))?,
        attempts: cells::required_count(row, 3)?,
        failed_passes: cells::required_count(row, 4)?,
        last_error: cells::text(row, 5)?,
        last_status: cells::integer(row, 6)?.and_then(|status| status.try_into().ok()),
        claimed_at: cells::required_time(row, 7)?,
        reading_ids: ReadingIds::decode(&ids)
            .ok_or_else(|| errors::nonsense("upload_manifests.reading_ids"))?,
        epoch: EPOCH,
    })
}
