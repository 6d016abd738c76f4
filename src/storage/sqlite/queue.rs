//! How long the queue is and where it begins and ends.

use sqlx::SqliteConnection;

use super::cells;
use crate::{
    domain::{
        census::{KnownStretch, Stretch},
        reading::ReadingId,
    },
    storage::{QueueBounds, StoreError},
};

/// The highest id, and the oldest pending reading's arrival; two seeks.
pub(super) async fn bounds(connection: &mut SqliteConnection) -> Result<QueueBounds, StoreError> {
    let row = sqlx::query(include_str!("queries/queue_bounds.sql"))
        .fetch_one(connection)
        .await?;
    Ok(QueueBounds {
        highest: cells::integer(&row, 0)?,
        lowest_pending: cells::integer(&row, 1)?,
        oldest_pending_at: cells::time(&row, 2)?,
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

/// Whether the last of so many pending readings still lies in the stretch, and the one behind it does not. To pass over
/// index entries costs a third of what it costs to count them.
pub(super) async fn has_pending(
    connection: &mut SqliteConnection,
    known: KnownStretch,
) -> Result<bool, StoreError> {
    let Stretch { after, upper } = known.stretch;
    let Some(before_last) = known.count.checked_sub(1) else {
        let next = next_pending(connection, after).await?;
        return Ok(next.is_none_or(|next| next > upper));
    };
    let rows = sqlx::query(include_str!("queries/pending_from.sql"))
        .bind(after)
        .bind(i64::try_from(before_last).unwrap_or(i64::MAX))
        .fetch_all(connection)
        .await?;
    let ids: Vec<ReadingId> = rows
        .iter()
        .map(|row| cells::required_integer(row, 0))
        .collect::<Result<_, _>>()?;
    Ok(match ids[..] {
        [last] => last <= upper,
        [last, next] => last <= upper && next > upper,
        _ => false,
    })
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
