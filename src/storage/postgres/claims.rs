//! Finds the readings that are nobody's yet, while no other instance does.

use async_trait::async_trait;
use futures_util::{StreamExt, TryStreamExt};
use sqlx::{PgConnection, postgres::PgRow};

use super::{cells, presence, queue::Cursors};
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

/// What a walk over the queue brought.
pub(super) struct Walk {
    pub(super) found: Vec<RawReading>,
    /// Where the next one may begin, once these readings are claimed; none where this one was no walk from the oldest.
    pub(super) through: Option<ReadingId>,
}

/// Up to `limit` pending readings that no manifest holds, ascending by id. From here to the end of the transaction
/// no other instance claims.
pub(super) async fn claimable(
    connection: &mut PgConnection,
    instance: &str,
    cursors: &Cursors,
    order: ClaimOrder,
    limit: usize,
) -> Result<Walk, StoreError> {
    let held = lock_and_read_held(connection, instance).await?;
    let mut queue = Queue(connection);
    let after = match order {
        ClaimOrder::After(id) => {
            return Ok(Walk {
                found: held.free_rows(&mut queue, id, limit).await?,
                through: None,
            });
        }
        ClaimOrder::Oldest => cursors.claims(),
    };
    let found = held.free_rows(&mut queue, after, limit).await?;
    if found.len() == limit {
        let through = found.last().map(|reading| reading.id);
        return Ok(Walk { found, through });
    }
    // The end of the queue: what came late with a low id, or was given back, is found from its beginning.
    let found = if after == ReadingId::MIN {
        found
    } else {
        held.free_rows(&mut queue, ReadingId::MIN, limit).await?
    };
    Ok(Walk {
        found,
        through: Some(ReadingId::MIN),
    })
}

/// The lock comes in a statement before the one that reads: the manifests of whoever had it are seen then.
async fn lock_and_read_held(
    connection: &mut PgConnection,
    instance: &str,
) -> Result<HeldIds, StoreError> {
    sqlx::query(include_str!("queries/lock_claims.sql"))
        .execute(&mut *connection)
        .await?;
    presence::extend_lease(connection, instance).await?;
    let rows = sqlx::query(include_str!("queries/claimed_ids.sql"))
        .fetch_all(connection)
        .await?;
    let mut held = Vec::with_capacity(rows.len());
    for row in &rows {
        let ids = ReadingIds::decode(cells::get(row, 0)?)
            .ok_or_else(|| errors::nonsense("upload_manifests.reading_ids"))?;
        held.push(ids);
    }
    Ok(HeldIds::new(&held))
}

/// The rows that have these ids, ascending; nobody else changes them before this transaction ends.
pub(super) async fn lock_rows(
    connection: &mut PgConnection,
    ids: &ReadingIds,
) -> Result<Vec<RawReading>, StoreError> {
    let ids: Vec<ReadingId> = ids.iter().collect();
    let rows = sqlx::query(include_str!("queries/readings_by_id.sql"))
        .bind(ids)
        .fetch_all(connection)
        .await?;
    rows.iter().map(raw_reading).collect()
}

struct Queue<'a>(&'a mut PgConnection);

#[async_trait]
impl PendingRows for Queue<'_> {
    async fn pending_after(
        &mut self,
        after: ReadingId,
        limit: usize,
    ) -> Result<Vec<RawReading>, StoreError> {
        // One by one: as they come off the wire they take several times the memory.
        sqlx::query(include_str!("queries/claim.sql"))
            .bind(after)
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .fetch(&mut *self.0)
            .map(|row| claimed_reading(&row?))
            .try_collect()
            .await
    }
}

fn claimed_reading(row: &PgRow) -> Result<RawReading, StoreError> {
    Ok(RawReading {
        writer: cells::transaction(row, 6)?,
        ..raw_reading(row)?
    })
}

/// A row whose first columns are the id and the reading's five fields.
pub(super) fn raw_reading(row: &PgRow) -> Result<RawReading, StoreError> {
    Ok(RawReading {
        id: cells::get(row, 0)?,
        meter_external_id: cells::text(row, 1)?,
        timestamp: cells::time(row, 2)?,
        data_point: cells::text(row, 3)?,
        value: cells::decimal(row, 4)?,
        unit: cells::text(row, 5)?,
        writer: None,
    })
}
