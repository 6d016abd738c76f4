//! Takes readings out of the queue, or notes that their turn failed: all of a batch with one statement for its long
//! runs of ids each, and one for the rest. A row that came in at another time than those that are meant only has the same
//! id, and stays as it is.

use chrono::{NaiveDateTime, TimeDelta};
use sqlx::{PgConnection, Postgres, postgres::PgArguments, query::Query};

use crate::{
    domain::{
        arrival::Arrivals, reading::ReadingId, reading_ids::ReadingIds, timestamp::Timestamp,
    },
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

async fn apply(
    connection: &mut PgConnection,
    action: &Action,
    ids: &ReadingIds,
    time: Option<Timestamp>,
) -> Result<(), StoreError> {
    let mut scattered: Vec<ReadingId> = Vec::new();
    for run in ids.runs() {
        if run.end().saturating_sub(*run.start()) < LONG_RUN {
            scattered.extend(run.clone());
            continue;
        }
        let query = sqlx::query(action.on_run)
            .bind(*run.start())
            .bind(*run.end());
        execute(connection, query, ids.arrivals(), time).await?;
    }
    if !scattered.is_empty() {
        execute(
            connection,
            sqlx::query(action.on_list).bind(scattered),
            ids.arrivals(),
            time,
        )
        .await?;
    }
    Ok(())
}

async fn execute(
    connection: &mut PgConnection,
    query: Query<'_, Postgres, PgArguments>,
    arrivals: Option<&Arrivals>,
    time: Option<Timestamp>,
) -> Result<(), StoreError> {
    let bounds = arrivals.map(bounds).transpose()?;
    let (first, last) = bounds.unzip();
    let query = query
        .bind(first)
        .bind(last)
        .bind(arrivals.is_some_and(|arrivals| arrivals.some_unsaid));
    let query = match time {
        Some(time) => query.bind(time.0.naive_utc()),
        None => query,
    };
    query.execute(connection).await?;
    Ok(())
}

/// Where no row says when it came in, no time is between these.
fn bounds(arrivals: &Arrivals) -> Result<(NaiveDateTime, NaiveDateTime), StoreError> {
    let Some((first, last)) = &arrivals.between else {
        let epoch = NaiveDateTime::default();
        return Ok((epoch + TimeDelta::days(1), epoch));
    };
    let time = |text: &str| {
        Timestamp::parse_stored(text)
            .map(|time| time.0.naive_utc())
            .ok_or_else(|| errors::nonsense("upload_manifests.reading_ids"))
    };
    Ok((time(first)?, time(last)?))
}
