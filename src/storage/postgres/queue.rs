//! How long the queue is and where it begins and ends, and where to look for its beginning.

use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};

use sqlx::PgConnection;

use super::cells;
use crate::{
    domain::{census::Stretch, reading::ReadingId},
    storage::{QueueBounds, StoreError},
};

/// So many attendances, of one every two seconds, lie between two looks from the very beginning.
const ATTENDANCES_BETWEEN_FULL_LOOKS: u32 = 15;

/// Where looks at the queue begin. What was deleted in front of it stays in the index until the server cleans up, and
/// a look from the very beginning walks over all of it. Lower ids may still come late, so every now and then, and
/// at the end of the queue, looks begin there all the same.
#[derive(Debug)]
pub(super) struct Cursors {
    /// For claims: ids up to here were claimed or belong to others.
    claims: AtomicI64,
    /// For counts and bounds: no pending id lay below.
    bounds: AtomicI64,
    attendances: AtomicU32,
}

impl Default for Cursors {
    fn default() -> Self {
        Self {
            claims: AtomicI64::new(ReadingId::MIN),
            bounds: AtomicI64::new(ReadingId::MIN),
            attendances: AtomicU32::new(0),
        }
    }
}

impl Cursors {
    /// Where a claim of the oldest readings begins.
    pub(super) fn claims(&self) -> ReadingId {
        self.claims.load(Ordering::Relaxed)
    }

    /// A claim has come this far.
    pub(super) fn claimed_through(&self, id: ReadingId) {
        self.claims.store(id, Ordering::Relaxed);
    }

    /// Another attendance has passed; tells whether looks begin at the very beginning now.
    pub(super) fn attended(&self) -> bool {
        let attendances = self.attendances.fetch_add(1, Ordering::Relaxed);
        let is_full_look = attendances.is_multiple_of(ATTENDANCES_BETWEEN_FULL_LOOKS);
        if is_full_look {
            self.claims.store(ReadingId::MIN, Ordering::Relaxed);
            self.bounds.store(ReadingId::MIN, Ordering::Relaxed);
        }
        is_full_look
    }

    /// The highest id, and the oldest pending reading's arrival.
    pub(super) async fn bounds(
        &self,
        connection: &mut PgConnection,
    ) -> Result<QueueBounds, StoreError> {
        let from = self.bounds.load(Ordering::Relaxed);
        let row = sqlx::query(include_str!("queries/queue_bounds.sql"))
            .bind(from)
            .fetch_one(connection)
            .await?;
        let first: Option<ReadingId> = cells::get(&row, 1)?;
        self.bounds
            .store(first.unwrap_or(ReadingId::MIN), Ordering::Relaxed);
        Ok(QueueBounds {
            highest: cells::get(&row, 0)?,
            lowest_pending: first,
            oldest_pending_at: cells::optional_time(&row, 2)?,
        })
    }
}

/// The sum of all changes since the count began.
pub(super) async fn kept_count(connection: &mut PgConnection) -> Result<u64, StoreError> {
    let row = sqlx::query(include_str!("queries/kept_count.sql"))
        .fetch_one(connection)
        .await?;
    // A negative sum is a drift that the next full look mends.
    Ok(u64::try_from(cells::get::<i64>(&row, 0)?).unwrap_or(0))
}

/// Adds the changes up where they have become many.
pub(super) async fn fold_count(connection: &mut PgConnection) -> Result<(), StoreError> {
    sqlx::query(include_str!("queries/fold_count.sql"))
        .execute(connection)
        .await?;
    Ok(())
}

/// Where few readings wait, or more than the sum claims, the sum is their number from now on, whatever went by the count
/// before.
pub(super) async fn mend_count(connection: &mut PgConnection) -> Result<(), StoreError> {
    sqlx::query(include_str!("queries/mend_count.sql"))
        .execute(connection)
        .await?;
    Ok(())
}

/// Pending readings in a stretch of ids.
pub(super) async fn count_pending(
    connection: &mut PgConnection,
    stretch: Stretch,
) -> Result<u64, StoreError> {
    let row = sqlx::query(include_str!("queries/count_pending.sql"))
        .bind(stretch.after)
        .bind(stretch.upper)
        .fetch_one(connection)
        .await?;
    cells::count(&row, 0)
}

/// The lowest id of a pending reading above `after`.
pub(super) async fn next_pending(
    connection: &mut PgConnection,
    after: ReadingId,
) -> Result<Option<ReadingId>, StoreError> {
    let row = sqlx::query(include_str!("queries/next_pending.sql"))
        .bind(after)
        .fetch_optional(connection)
        .await?;
    row.map(|row| cells::get(&row, 0)).transpose()
}
