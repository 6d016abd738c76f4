//! Finds the readings that are nobody's yet.

use async_trait::async_trait;
use sqlx::{SqliteConnection, sqlite::SqliteRow};

use super::cells;
use crate::{
    domain::{
        batch::ClaimOrder,
        reading::{RawReading, ReadingId},
        reading_ids::ReadingIds,
    },
    storage::{
        StoreError, errors,
        holding::{HeldIds, PendingRows},
    },
};

/// Up to `limit` pending readings that no manifest holds, ascending by id.
pub(super) async fn claimable(
    connection: &mut SqliteConnection,
    order: ClaimOrder,
    limit: usize,
) -> Result<Vec<RawReading>, StoreError> {
    let held = held_ids(connection).await?;
    let after = match order {
        ClaimOrder::Oldest => ReadingId::MIN,
        ClaimOrder::After(id) => id,
    };
    held.free_rows(&mut Queue(connection), after, limit).await
}

async fn held_ids(connection: &mut SqliteConnection) -> Result<HeldIds, StoreError> {
    let rows = sqlx::query(include_str!("queries/claimed_ids.sql"))
        .fetch_all(connection)
        .await?;
    let mut held = Vec::with_capacity(rows.len());
    for row in &rows {
        let ids = ReadingIds::decode(&cells::required_text(row, 0)?)
            .ok_or_else(|| errors::nonsense("upload_manifests.reading_ids"))?;
        held.push(ids);
    }
    Ok(HeldIds::new(&held))
}

struct Queue<'a>(&'a mut SqliteConnection);

#[async_trait]
impl PendingRows for Queue<'_> {
    async fn pending_after(
        &mut self,
        after: ReadingId,
        limit: usize,
    ) -> Result<Vec<RawReading>, StoreError> {
        let rows = sqlx::query(include_str!("queries/claim.sql"))
            .bind(after)
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .fetch_all(&mut *self.0)
            .await?;
        rows.iter().map(raw_reading).collect()
    }
}

/// A row whose first columns are the id and the reading's five fields.
pub(super) fn raw_reading(row: &SqliteRow) -> Result<RawReading, StoreError> {
    Ok(RawReading {
        id: cells::required_integer(row, 0)?,
        meter_external_id: cells::cell(row, 1)?,
        timestamp: cells::cell(row, 2)?,
        data_point: cells::cell(row, 3)?,
        value: cells::cell(row, 4)?,
        unit: cells::cell(row, 5)?,
    })
}
