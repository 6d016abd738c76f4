//! How long the queue is and where it begins and ends.

use sqlx::SqliteConnection;

use super::cells;
use crate::{
    domain::{census::Stretch, reading::ReadingId},
    storage::{QueueBounds, StoreError},
};

/// The highest id, and the oldest pending reading's arrival; two seeks.
pub(super) async fn bounds(connection: &mut SqliteConnection) -> Result<QueueBounds, StoreError> {
    let row = sqlx::query(include_str!("queries/queue_bounds.sql"))
        .fetch_one(connection)
        .await?;
    Ok(QueueBounds {
        highest: cells::integer(&row, 0)?,
        oldest_pending_at: cells::time(&row, 1)?,
    })
}

/// Pending readings in a stretch of ids; reads index entries only.
pub(super) async fn count_pending(
    connection: &mut SqliteConnection,
    stretch: Stretch,
) -> Result<u64, StoreError> {
    let row = sqlx::query(include_str!("queries/count_pending.sql"))
        .bind(stretch.after)
        .bind(stretch.upper)
        .fetch_one(connection)
        .await?;
    cells::required_count(&row, 0)
}

/// The lowest id of a pending reading above `after`; reads one index entry.
pub(super) async fn next_pending(
    connection: &mut SqliteConnection,
    after: ReadingId,
) -> Result<Option<ReadingId>, StoreError> {
    let row = sqlx::query(include_str!("queries/next_pending.sql"))
        .bind(after)
        .fetch_optional(connection)
        .await?;
    row.map(|row| cells::required_integer(&row, 0)).transpose()
}
