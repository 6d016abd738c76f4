//! Finds the readings that are nobody's yet.

use async_trait::async_trait;
use sqlx::{Sqlite, SqliteConnection, Transaction, sqlite::SqliteRow};
use tokio::{runtime::Handle, task::spawn_blocking};

use super::{cells, plain_rows, transaction::lost};
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

/// Up to `limit` pending readings that no manifest holds, ascending by id. The transaction is gone afterwards where nobody
/// waited for the end.
pub(super) async fn claimable(
    transaction: &mut Option<Transaction<'static, Sqlite>>,
    order: ClaimOrder,
    limit: usize,
) -> Result<Vec<RawReading>, StoreError> {
    let held = held_ids(transaction.as_mut().ok_or_else(lost)?).await?;
    let after = match order {
        ClaimOrder::Oldest => ReadingId::MIN,
        ClaimOrder::After(id) => id,
    };
    held.free_rows(&mut Queue(transaction), after, limit).await
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

struct Queue<'a>(&'a mut Option<Transaction<'static, Sqlite>>);

#[async_trait]
impl PendingRows for Queue<'_> {
    /// On a thread that may block, for a disk may.
    async fn pending_after(
        &mut self,
        after: ReadingId,
        limit: usize,
    ) -> Result<Vec<RawReading>, StoreError> {
        let mut transaction = self.0.take().ok_or_else(lost)?;
        let runtime = Handle::current();
        let reading = spawn_blocking(move || {
            let rows = runtime.block_on(plain_rows::pending(&mut transaction, after, limit));
            (transaction, rows)
        });
        let (transaction, rows) = reading.await.map_err(|failure| {
            StoreError::Failed(format!("readings could not be read: {failure}"))
        })?;
        *self.0 = Some(transaction);
        rows
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
