//! Takes readings out of the queue, or notes that their turn failed: all of a batch with one statement for its long
//! runs of ids each, and one for the rest.

use std::ops::RangeInclusive;

use sqlx::{PgConnection, Postgres, postgres::PgArguments, query::Query};

use super::queue;
use crate::{
    domain::{reading::ReadingId, reading_ids::ReadingIds, timestamp::Timestamp},
    storage::{StoreError, errors},
};

/// From this length on a run is worth a statement of its own.
const LONG_RUN: i64 = 64;

/// The same action for a run of ids and for a list.
struct Action {
    on_run: &'static str,
    on_list: &'static str,
}

const DELETE: Action = Action {
    on_run: include_str!("queries/delete_reading_run.sql"),
    on_list: include_str!("queries/delete_reading_list.sql"),
};
const DELETE_WRITTEN: Action = Action {
    on_run: include_str!("queries/delete_written_run.sql"),
    on_list: include_str!("queries/delete_written_list.sql"),
};
const MARK_WRITTEN: Action = Action {
    on_run: include_str!("queries/mark_written_run.sql"),
    on_list: include_str!("queries/mark_written_list.sql"),
};
const MARK: Action = Action {
    on_run: include_str!("queries/mark_reading_run.sql"),
    on_list: include_str!("queries/mark_reading_list.sql"),
};
const COUNT_RETRY: Action = Action {
    on_run: include_str!("queries/retry_reading_run.sql"),
    on_list: include_str!("queries/retry_reading_list.sql"),
};

/// Deletes readings.
pub(super) async fn delete_readings(
    connection: &mut PgConnection,
    ids: &ReadingIds,
) -> Result<(), StoreError> {
    let count = apply(connection, &DELETE, ids, None, None).await?;
    require_out(connection, ids, count).await
}

/// Marks readings as synchronized `now`; those that are already keep their time.
pub(super) async fn mark_synchronized(
    connection: &mut PgConnection,
    ids: &ReadingIds,
    now: Timestamp,
) -> Result<(), StoreError> {
    let count = apply(connection, &MARK, ids, None, Some(now)).await?;
    require_out(connection, ids, count).await
}

/// A trigger, a rule or a policy may leave a row where it is and report no failure; it would be sent again and again under
/// other keys.
async fn require_out(
    connection: &mut PgConnection,
    ids: &ReadingIds,
    count: u64,
) -> Result<(), StoreError> {
    if count >= ids.len() as u64 {
        return Ok(());
    }
    let mut kept = 0;
    for run in ids.runs() {
        kept += queue::count_pending(&mut *connection, run.into()).await?;
    }
    errors::require_none_kept(kept)
}

/// Adds one to the retry count of readings.
pub(super) async fn increment_retry_count(
    connection: &mut PgConnection,
    ids: &ReadingIds,
) -> Result<(), StoreError> {
    apply(connection, &COUNT_RETRY, ids, None, None).await?;
    Ok(())
}

/// Deletes those readings that one of these transactions has written as they are; how many that were.
pub(super) async fn delete_written_by(
    connection: &mut PgConnection,
    ids: &ReadingIds,
    writers: &[u32],
) -> Result<u64, StoreError> {
    apply(connection, &DELETE_WRITTEN, ids, Some(writers), None).await
}

/// Marks those readings as synchronized `now` that one of these transactions has written as they are; how many that were.
pub(super) async fn mark_written_by(
    connection: &mut PgConnection,
    ids: &ReadingIds,
    writers: &[u32],
    now: Timestamp,
) -> Result<u64, StoreError> {
    apply(connection, &MARK_WRITTEN, ids, Some(writers), Some(now)).await
}

/// The runs that are worth a statement each, and the ids in all others.
fn long_runs(ids: &ReadingIds) -> (Vec<&RangeInclusive<ReadingId>>, Vec<ReadingId>) {
    let is_long =
        |run: &&RangeInclusive<ReadingId>| run.end().saturating_sub(*run.start()) >= LONG_RUN;
    let (long, short): (Vec<_>, Vec<_>) = ids.runs().iter().partition(is_long);
    (long, short.into_iter().flat_map(Clone::clone).collect())
}

/// How many rows that went to.
async fn apply(
    connection: &mut PgConnection,
    action: &Action,
    ids: &ReadingIds,
    writers: Option<&[u32]>,
    time: Option<Timestamp>,
) -> Result<u64, StoreError> {
    let (runs, scattered) = long_runs(ids);
    let writers: Option<Vec<_>> =
        writers.map(|writers| writers.iter().map(ToString::to_string).collect());
    let mut count = 0;
    for run in runs {
        let query = sqlx::query(action.on_run)
            .bind(*run.start())
            .bind(*run.end());
        count += execute(connection, query, writers.clone(), time).await?;
    }
    if !scattered.is_empty() {
        let query = sqlx::query(action.on_list).bind(scattered);
        count += execute(connection, query, writers, time).await?;
    }
    Ok(count)
}

async fn execute(
    connection: &mut PgConnection,
    mut query: Query<'_, Postgres, PgArguments>,
    writers: Option<Vec<String>>,
    time: Option<Timestamp>,
) -> Result<u64, StoreError> {
    if let Some(writers) = writers {
        query = query.bind(writers);
    }
    if let Some(time) = time {
        query = query.bind(time.0.naive_utc());
    }
    Ok(query.execute(connection).await?.rows_affected())
}
