//! Takes readings out of the queue, or notes that their turn failed: all of a batch with one statement for its long
//! runs of ids each, and one for the rest.

use std::ops::RangeInclusive;

use sqlx::{PgConnection, Postgres, postgres::PgArguments, query::Query};

use super::cells;
use crate::{
    domain::{reading::ReadingId, reading_ids::ReadingIds, timestamp::Timestamp},
    storage::StoreError,
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
    apply(connection, &DELETE, ids, None).await
}

/// Marks readings as synchronized `now`; those that are already keep their time.
pub(super) async fn mark_synchronized(
    connection: &mut PgConnection,
    ids: &ReadingIds,
    now: Timestamp,
) -> Result<(), StoreError> {
    apply(connection, &MARK, ids, Some(now)).await
}

/// Adds one to the retry count of readings.
pub(super) async fn increment_retry_count(
    connection: &mut PgConnection,
    ids: &ReadingIds,
) -> Result<(), StoreError> {
    apply(connection, &COUNT_RETRY, ids, None).await
}

/// How many rows have one of the ids and were written by one of these transactions.
pub(super) async fn count_written_by(
    connection: &mut PgConnection,
    ids: &ReadingIds,
    writers: &[u32],
) -> Result<u64, StoreError> {
    let writers: Vec<String> = writers.iter().map(ToString::to_string).collect();
    let (runs, scattered) = long_runs(ids);
    let mut count = 0;
    for run in runs {
        let row = sqlx::query(include_str!("queries/count_written_run.sql"))
            .bind(*run.start())
            .bind(*run.end())
            .bind(&writers)
            .fetch_one(&mut *connection)
            .await?;
        count += cells::count::<u64>(&row, 0)?;
    }
    if !scattered.is_empty() {
        let row = sqlx::query(include_str!("queries/count_written_list.sql"))
            .bind(scattered)
            .bind(&writers)
            .fetch_one(connection)
            .await?;
        count += cells::count::<u64>(&row, 0)?;
    }
    Ok(count)
}

/// The runs that are worth a statement each, and the ids in all others.
fn long_runs(ids: &ReadingIds) -> (Vec<&RangeInclusive<ReadingId>>, Vec<ReadingId>) {
    let is_long =
        |run: &&RangeInclusive<ReadingId>| run.end().saturating_sub(*run.start()) >= LONG_RUN;
    let (long, short): (Vec<_>, Vec<_>) = ids.runs().iter().partition(is_long);
    (long, short.into_iter().flat_map(Clone::clone).collect())
}

async fn apply(
    connection: &mut PgConnection,
    action: &Action,
    ids: &ReadingIds,
    time: Option<Timestamp>,
) -> Result<(), StoreError> {
    let (runs, scattered) = long_runs(ids);
    for run in runs {
        let query = sqlx::query(action.on_run)
            .bind(*run.start())
            .bind(*run.end());
        execute(connection, query, time).await?;
    }
    if !scattered.is_empty() {
        execute(
            connection,
            sqlx::query(action.on_list).bind(scattered),
            time,
        )
        .await?;
    }
    Ok(())
}

async fn execute(
    connection: &mut PgConnection,
    query: Query<'_, Postgres, PgArguments>,
    time: Option<Timestamp>,
) -> Result<(), StoreError> {
    let query = match time {
        Some(time) => query.bind(time.0.naive_utc()),
        None => query,
    };
    query.execute(connection).await?;
    Ok(())
}
