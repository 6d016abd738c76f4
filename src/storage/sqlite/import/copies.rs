//! What an import copies and leaves where it is.

use sqlx::{SqliteConnection, sqlite::SqliteRow};

use super::super::cells;
use crate::storage::{StoreError, import::chunk::CopiedMeter};

/// All meters.
pub(super) async fn meters(
    connection: &mut SqliteConnection,
) -> Result<Vec<CopiedMeter>, StoreError> {
    let rows = sqlx::query(include_str!("../queries/import_meters.sql"))
        .fetch_all(connection)
        .await?;
    rows.iter().map(meter).collect()
}

fn meter(row: &SqliteRow) -> Result<CopiedMeter, StoreError> {
    Ok(CopiedMeter {
        external_id: cells::text(row, 0)?.unwrap_or_default(),
        name: cells::text(row, 1)?.unwrap_or_default(),
        bacnet_device_id: cells::integer(row, 2)?,
        bacnet_ip: cells::text(row, 3)?,
        config: cells::text(row, 4)?,
        last_reading_at: cells::time(row, 5)?,
        is_active: cells::boolean(row, 6)?.unwrap_or(true),
        created_at: cells::time(row, 7)?,
    })
}

/// Names and values of all facts but the one called `except`.
pub(super) async fn facts(
    connection: &mut SqliteConnection,
    except: &'static str,
) -> Result<Vec<(String, String)>, StoreError> {
    let rows = sqlx::query(include_str!("../queries/import_facts.sql"))
        .bind(except)
        .fetch_all(connection)
        .await?;
    rows.iter()
        .map(|row| Ok((cells::required_text(row, 0)?, cells::required_text(row, 1)?)))
        .collect()
}
