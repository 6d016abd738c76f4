//! The table `sync_log`.

use sqlx::{PgConnection, postgres::PgRow};

use super::{cells, manifests::storable, paging};
use crate::{
    domain::{
        sync_log::{SyncLogEntry, SyncStats},
        timestamp::Timestamp,
    },
    storage::{Page, StoreError, Window},
};

/// Adds a row: a success where there is no error.
pub(super) async fn append(
    connection: &mut PgConnection,
    batch_size: usize,
    error: Option<&str>,
    now: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query(include_str!("queries/append_sync_log.sql"))
        .bind(i32::try_from(batch_size).unwrap_or(i32::MAX))
        .bind(error.is_none())
        .bind(error.map(storable))
        .bind(now.0.naive_utc())
        .execute(connection)
        .await?;
    Ok(())
}

/// The newest rows first.
pub(super) async fn page(
    connection: &mut PgConnection,
    window: Window,
) -> Result<Page<SyncLogEntry>, StoreError> {
    let total = sqlx::query(include_str!("queries/sync_log_total.sql"));
    let rows = sqlx::query(include_str!("queries/sync_log_page.sql"));
    paging::page(connection, total, rows, window, entry).await
}

/// The newest successes, or the newest failures.
pub(super) async fn by_outcome(
    connection: &mut PgConnection,
    success: bool,
    limit: u32,
) -> Result<Vec<SyncLogEntry>, StoreError> {
    sqlx::query(include_str!("queries/sync_log_by_outcome.sql"))
        .bind(success)
        .bind(i64::from(limit))
        .fetch_all(connection)
        .await?
        .iter()
        .map(entry)
        .collect()
}

fn entry(row: &PgRow) -> Result<SyncLogEntry, StoreError> {
    Ok(SyncLogEntry {
        id: cells::get(row, 0)?,
        batch_size: cells::get::<i32>(row, 1)?.into(),
        success: cells::get(row, 2)?,
        error_message: cells::get(row, 3)?,
        synced_at: cells::optional_time(row, 4)?,
    })
}

/// Sums over the rows since a point in time.
pub(super) async fn stats(
    connection: &mut PgConnection,
    since: Timestamp,
) -> Result<SyncStats, StoreError> {
    let row = sqlx::query(include_str!("queries/sync_stats.sql"))
        .bind(since.0.naive_utc())
        .fetch_one(connection)
        .await?;
    Ok(SyncStats::new(
        cells::get(&row, 0)?,
        cells::get(&row, 1)?,
        cells::get(&row, 2)?,
    ))
}
