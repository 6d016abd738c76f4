//! Takes readings out of the queue, or notes that their turn failed: by runs of ids, never one by one.

use sqlx::SqliteConnection;

use super::queue;
use crate::{
    domain::{reading::ReadingId, reading_ids::ReadingIds, timestamp::Timestamp},
    storage::{StoreError, StoredBatch, errors},
};

/// From this length on a run is worth a statement of its own.
const LONG_RUN: i64 = 16;
/// Ids in one list at most.
const LIST: usize = 4096;

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

/// Settles a batch whose readings lie in one run, all in one go, since every statement takes two changes of threads. False, and
/// nothing done, where they do not.
///
/// # Errors
/// Where not exactly its manifest and its readings went, which leaves what is to be done to those who look more closely.
pub(super) async fn settle(
    connection: &mut SqliteConnection,
    batch: &StoredBatch<'_>,
) -> Result<bool, StoreError> {
    let [run] = batch.ids.runs() else {
        return Ok(false);
    };
    let statements = if batch.is_kept {
        include_str!("queries/settle_by_marking.sql")
    } else {
        include_str!("queries/settle_by_deleting.sql")
    };
    let size = batch.ids.len();
    let rows = sqlx::query(statements)
        .bind(batch.key.0.clone())
        .bind(*run.start())
        .bind(*run.end())
        .bind(i64::try_from(size).unwrap_or(i64::MAX))
        .bind(batch.now.to_stored())
        .execute(connection)
        .await?
        .rows_affected();
    // Besides the readings the manifest's, and that of the operation log.
    if rows == size as u64 + 2 {
        return Ok(true);
    }
    Err(StoreError::Failed(format!(
        "of a batch with {size} readings {rows} rows were touched, which would leave some of it behind"
    )))
}

/// Deletes readings.
pub(super) async fn delete_readings(
    connection: &mut SqliteConnection,
    ids: &ReadingIds,
) -> Result<(), StoreError> {
    let count = apply(connection, &DELETE, ids, None).await?;
    require_out(connection, ids, count).await
}

/// Marks readings as synchronized `now`; those that are already keep their time.
pub(super) async fn mark_synchronized(
    connection: &mut SqliteConnection,
    ids: &ReadingIds,
    now: Timestamp,
) -> Result<(), StoreError> {
    let count = apply(connection, &MARK, ids, Some(&now.to_stored())).await?;
    require_out(connection, ids, count).await
}

/// A trigger may leave a row where it is and report no failure; it would be sent again and again under other keys.
async fn require_out(
    connection: &mut SqliteConnection,
    ids: &ReadingIds,
    count: u64,
) -> Result<(), StoreError> {
    if count >= ids.len() as u64 {
        return Ok(());
    }
    let mut kept = 0;
    for run in ids.runs() {
        kept += queue::count_pending(connection, run.into()).await?;
    }
    errors::require_none_kept(kept)
}

/// Adds one to the retry count of readings.
pub(super) async fn increment_retry_count(
    connection: &mut SqliteConnection,
    ids: &ReadingIds,
) -> Result<(), StoreError> {
    apply(connection, &COUNT_RETRY, ids, None).await?;
    Ok(())
}

/// How many rows that went to.
async fn apply(
    connection: &mut SqliteConnection,
    action: &Action,
    ids: &ReadingIds,
    time: Option<&str>,
) -> Result<u64, StoreError> {
    let (mut count, mut scattered) = (0, Vec::new());
    for run in ids.runs() {
        if run.end().saturating_sub(*run.start()) < LONG_RUN {
            scattered.extend(run.clone());
            continue;
        }
        let query = sqlx::query(action.on_run)
            .bind(*run.start())
            .bind(*run.end());
        count += execute(connection, query, time).await?;
    }
    for list in scattered.chunks(LIST) {
        let query = sqlx::query(action.on_list).bind(id_list(list));
        count += execute(connection, query, time).await?;
    }
    Ok(count)
}

async fn execute(
    connection: &mut SqliteConnection,
    query: sqlx::query::Query<'_, sqlx::Sqlite, sqlx::sqlite::SqliteArguments>,
    time: Option<&str>,
) -> Result<u64, StoreError> {
    let query = match time {
        Some(time) => query.bind(time.to_owned()),
        None => query,
    };
    Ok(query.execute(connection).await?.rows_affected())
}

/// Ids as a JSON array, the form in which SQLite takes a list as one parameter.
pub(super) fn id_list(ids: &[ReadingId]) -> String {
    let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
    format!("[{}]", ids.join(","))
}
