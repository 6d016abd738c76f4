//! The table `sync_log`.

use sqlx::{SqliteConnection, sqlite::SqliteRow};

use super::{cells, paging};
use crate::{
    domain::{
        sync_log::{SyncLogEntry, SyncStats},
        timestamp::Timestamp,
    },
    storage::{Page, StoreError, Window},
};

/// Adds a row: a success where there is no error.
pub(super) async fn append(
    connection: &mut SqliteConnection,
    batch_size: usize,
    error: Option<&str>,
    now: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query(include_str!("queries/append_sync_log.sql"))
        .bind(i64::try_from(batch_size).unwrap_or(i64::MAX))
        .bind(error.is_none())
        .bind(error.map(str::to_owned))
        .bind(now.to_stored())
        .execute(connection)
        .await?;
    Ok(())
}

/// The newest rows first.
pub(super) async fn page(
    connection: &mut SqliteConnection,
    window: Window,
) -> Result<Page<SyncLogEntry>, StoreError> {
    let total = sqlx::query(include_str!("queries/sync_log_total.sql"));
    let rows = sqlx::query(include_str!("queries/sync_log_page.sql"));
    paging::page(connection, total, rows, window, entry).await
}

/// The newest successes, or the newest failures.
pub(super) async fn by_outcome(
    connection: &mut SqliteConnection,
    success: bool,
    limit: u32,
) -> Result<Vec<SyncLogEntry>, StoreError> {
    sqlx::query(include_str!("queries/sync_log_by_outcome.sql"))
        .bind(success)
        .bind(limit)
        .fetch_all(connection)
        .await?
        .iter()
        .map(entry)
        .collect()
}

fn entry(row: &SqliteRow) -> Result<SyncLogEntry, StoreError> {
    Ok(SyncLogEntry {
        id: cells::required_integer(row, 0)?,
        batch_size: cells::integer(row, 1)?.unwrap_or_default(),
        success: cells::boolean(row, 2)?.unwrap_or_default(),
        error_message: cells::text(row, 3)?,
        synced_at: cells::time(row, 4)?,
    })
}

/// Sums over the rows since a point in time.
pub(super) async fn stats(
    connection: &mut SqliteConnection,
    since: Timestamp,
) -> Result<SyncStats, StoreError> {
    let row = sqlx::query(include_str!("queries/sync_stats.sql"))
        .bind(since.to_stored())
        .fetch_one(connection)
        .await?;
    Ok(SyncStats::new(
        cells::required_integer(&row, 0)?,
        cells::required_integer(&row, 1)?,
        cells::integer(&row, 2)?.unwrap_or_default(),
    ))
}
