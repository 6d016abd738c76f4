//! Removes what has been kept long enough, a bounded piece at a time.

use sqlx::PgConnection;

use crate::{domain::timestamp::Timestamp, storage::StoreError};

/// Deletes up to `limit` readings that were synchronized before `before`. Those that another program marked
/// count from their arrival.
pub(super) async fn synchronized_before(
    connection: &mut PgConnection,
    before: Timestamp,
    limit: u32,
) -> Result<u64, StoreError> {
    let statement = include_str!("queries/delete_synchronized_before.sql");
    delete(connection, statement, before, limit).await
}

/// Deletes up to `limit` rows of the operation log.
pub(super) async fn sync_log_before(
    connection: &mut PgConnection,
    before: Timestamp,
    limit: u32,
) -> Result<u64, StoreError> {
    let statement = include_str!("queries/delete_sync_log_before.sql");
    delete(connection, statement, before, limit).await
}

/// Forgets up to `limit` ingestion keys.
pub(super) async fn ingestion_keys_before(
    connection: &mut PgConnection,
    before: Timestamp,
    limit: u32,
) -> Result<u64, StoreError> {
    let statement = include_str!("queries/delete_ingestion_keys_before.sql");
    delete(connection, statement, before, limit).await
}

async fn delete(
    connection: &mut PgConnection,
    statement: &'static str,
    before: Timestamp,
    limit: u32,
) -> Result<u64, StoreError> {
    let result = sqlx::query(statement)
        .bind(before.0.naive_utc())
        .bind(i64::from(limit))
        .execute(connection)
        .await?;
    Ok(result.rows_affected())
}
