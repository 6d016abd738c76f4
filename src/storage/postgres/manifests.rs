//! The table `upload_manifests`.

use sqlx::{PgConnection, postgres::PgRow};

use super::{cells, presence};
use crate::{
    domain::{
        batch::{Batch, IdempotencyKey, Manifest, ManifestState},
        reading_ids::ReadingIds,
    },
    storage::{Flight, StoreError, errors},
};

/// Writes a manifest of this instance with its body.
pub(super) async fn insert(
    connection: &mut PgConnection,
    instance: &str,
    batch: &Batch,
) -> Result<(), StoreError> {
    let manifest = &batch.manifest;
    sqlx::query(include_str!("queries/insert_manifest.sql"))
        .bind(&manifest.key.0)
        .bind(&manifest.root.0)
        .bind(instance)
        .bind(i32::try_from(manifest.epoch).unwrap_or(i32::MAX))
        .bind(manifest.state.name())
        .bind(i32::try_from(manifest.attempts).unwrap_or(i32::MAX))
        .bind(i32::try_from(manifest.failed_passes).unwrap_or(i32::MAX))
        .bind(manifest.last_error.as_deref().map(storable))
        .bind(manifest.last_status.map(i32::from))
        .bind(manifest.claimed_at.0.naive_utc())
        .bind(i32::try_from(batch.len()).unwrap_or(i32::MAX))
        .bind(manifest.reading_ids.encode())
        .bind(&*batch.body)
        .execute(connection)
        .await?;
    Ok(())
}

/// Those of this instance, oldest first, without bodies.
pub(super) async fn all(
    connection: &mut PgConnection,
    instance: &str,
) -> Result<Vec<Manifest>, StoreError> {
    let rows = sqlx::query(include_str!("queries/manifests.sql"))
        .bind(instance)
        .fetch_all(connection)
        .await?;
    rows.iter().map(manifest).collect()
}

/// Those of this instance in a state, oldest first, without bodies; of one root only where given.
pub(super) async fn in_state(
    connection: &mut PgConnection,
    instance: &str,
    state: ManifestState,
    root: Option<&IdempotencyKey>,
) -> Result<Vec<Manifest>, StoreError> {
    let rows = sqlx::query(include_str!("queries/manifests_in_state.sql"))
        .bind(instance)
        .bind(state.name())
        .bind(root.map(|root| &root.0))
        .fetch_all(connection)
        .await?;
    rows.iter().map(manifest).collect()
}

/// How many readings all manifests hold, how many of them are parked, and whether some are nobody's.
pub(super) async fn flight(connection: &mut PgConnection) -> Result<Flight, StoreError> {
    let row = sqlx::query(include_str!("queries/flight.sql"))
        .fetch_one(connection)
        .await?;
    Ok(Flight {
        readings: cells::count(&row, 0)?,
        parked: cells::count(&row, 1)?,
        parked_error: cells::get(&row, 3)?,
        abandoned: cells::get(&row, 2)?,
    })
}

/// Makes what instances left behind that are gone this instance's own; answers with the live ones.
pub(super) async fn take_over(
    connection: &mut PgConnection,
    instance: &str,
) -> Result<Vec<IdempotencyKey>, StoreError> {
    presence::extend_lease(connection, instance).await?;
    let rows = sqlx::query(include_str!("queries/take_over.sql"))
        .bind(instance)
        .fetch_all(&mut *connection)
        .await?;
    if !rows.is_empty() {
        tracing::warn!(
            batches = rows.len(),
            "batches of an instance that is gone were taken over"
        );
    }
    let mut live = Vec::new();
    for row in &rows {
        if cells::get::<&str>(row, 1)? == ManifestState::Live.name() {
            live.push(IdempotencyKey(cells::get(row, 0)?));
        }
    }
    Ok(live)
}

/// One of this instance with its body, locked, for sending it: nobody must take it over meanwhile. None once it is settled
/// or taken over.
pub(super) async fn batch(
    connection: &mut PgConnection,
    instance: &str,
    key: &IdempotencyKey,
) -> Result<Option<Batch>, StoreError> {
    presence::extend_lease(connection, instance).await?;
    read_batch(connection, instance, key).await
}

/// One of this instance with its body.
pub(super) async fn read_batch(
    connection: &mut PgConnection,
    instance: &str,
    key: &IdempotencyKey,
) -> Result<Option<Batch>, StoreError> {
    let row = sqlx::query(include_str!("queries/batch.sql"))
        .bind(&key.0)
        .bind(instance)
        .fetch_optional(connection)
        .await?;
    row.as_ref().map(with_body).transpose()
}

/// Removes one of this instance in this epoch and hands it over; none where there is no such.
pub(super) async fn take(
    connection: &mut PgConnection,
    instance: &str,
    key: &IdempotencyKey,
    epoch: u32,
) -> Result<Option<Batch>, StoreError> {
    let row = sqlx::query(include_str!("queries/take_batch.sql"))
        .bind(&key.0)
        .bind(instance)
        .bind(i32::try_from(epoch).unwrap_or(i32::MAX))
        .fetch_optional(connection)
        .await?;
    row.as_ref().map(with_body).transpose()
}

fn with_body(row: &PgRow) -> Result<Batch, StoreError> {
    Ok(Batch {
        manifest: manifest(row)?,
        body: cells::get::<&[u8]>(row, 10)?.into(),
    })
}

/// Overwrites what may change.
pub(super) async fn update(
    connection: &mut PgConnection,
    instance: &str,
    manifest: &Manifest,
) -> Result<(), StoreError> {
    sqlx::query(include_str!("queries/update_manifest.sql"))
        .bind(&manifest.key.0)
        .bind(instance)
        .bind(manifest.state.name())
        .bind(i32::try_from(manifest.attempts).unwrap_or(i32::MAX))
        .bind(i32::try_from(manifest.failed_passes).unwrap_or(i32::MAX))
        .bind(manifest.last_error.as_deref().map(storable))
        .bind(manifest.last_status.map(i32::from))
        .execute(connection)
        .await?;
    Ok(())
}

/// Removes one of this instance.
pub(super) async fn remove(
    connection: &mut PgConnection,
    instance: &str,
    key: &IdempotencyKey,
) -> Result<(), StoreError> {
    sqlx::query(include_str!("queries/remove_manifest.sql"))
        .bind(&key.0)
        .bind(instance)
        .execute(connection)
        .await?;
    Ok(())
}

/// Texts of other programs may hold what PostgreSQL's do not.
pub(super) fn storable(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

fn manifest(row: &PgRow) -> Result<Manifest, StoreError> {
    let nonsense = |column| errors::nonsense(column);
    Ok(Manifest {
        key: IdempotencyKey(cells::get(row, 0)?),
        root: IdempotencyKey(cells::get(row, 1)?),
        state: ManifestState::from_name(cells::get(row, 2)?)
            .ok_or_else(|| nonsense("upload_manifests.state"))?,
        attempts: small(row, 3)?,
        failed_passes: small(row, 4)?,
        last_error: cells::get(row, 5)?,
        last_status: cells::get::<Option<i32>>(row, 6)?.and_then(|status| status.try_into().ok()),
        claimed_at: cells::required_time(row, 7)?,
        reading_ids: ReadingIds::decode(cells::get(row, 8)?)
            .ok_or_else(|| nonsense("upload_manifests.reading_ids"))?,
        epoch: small(row, 9)?,
    })
}

fn small(row: &PgRow, index: usize) -> Result<u32, StoreError> {
    u32::try_from(cells::get::<i32>(row, index)?).map_err(|_| errors::nonsense("a number column"))
}
