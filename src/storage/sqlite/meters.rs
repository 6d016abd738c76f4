//! The table `meters`.

use std::collections::HashMap;

use sqlx::{SqliteConnection, sqlite::SqliteRow};

use super::{cells, paging};
use crate::{
    domain::{
        meter::{Meter, MeterChanges, MeterConfiguration},
        timestamp::Timestamp,
    },
    storage::{Page, StoreError, Window},
};

/// Meters by name.
pub(super) async fn page(
    connection: &mut SqliteConnection,
    window: Window,
) -> Result<Page<Meter>, StoreError> {
    let total = sqlx::query(include_str!("queries/meters_total.sql"));
    let rows = sqlx::query(include_str!("queries/meters_page.sql"));
    paging::page(connection, total, rows, window, meter).await
}

fn meter(row: &SqliteRow) -> Result<Meter, StoreError> {
    Ok(Meter {
        id: cells::required_integer(row, 0)?,
        external_id: cells::text(row, 1)?.unwrap_or_default(),
        name: cells::text(row, 2)?.unwrap_or_default(),
        bacnet_device_id: cells::integer(row, 3)?,
        bacnet_ip: cells::text(row, 4)?,
        last_reading_at: cells::time(row, 5)?,
        // The column's default, for rows that were written without one.
        is_active: cells::boolean(row, 6)?.unwrap_or(true),
        created_at: cells::time(row, 7)?,
    })
}

/// Takes a configuration over. What it leaves out of a meter stays; meters that it leaves out become
/// inactive, unless it names none at all.
pub(super) async fn upsert(
    connection: &mut SqliteConnection,
    meters: &[MeterConfiguration],
    now: Timestamp,
) -> Result<MeterChanges, StoreError> {
    if meters.is_empty() {
        return Ok(MeterChanges::default());
    }
    let entries = entries(meters);
    for statement in [
        include_str!("queries/update_meters.sql"),
        include_str!("queries/insert_meters.sql"),
    ] {
        sqlx::query(statement)
            .bind(entries.clone())
            .bind(now.to_stored())
            .execute(&mut *connection)
            .await?;
    }
    let deactivated = sqlx::query(include_str!("queries/deactivate_meters.sql"))
        .bind(entries)
        .bind(now.to_stored())
        .execute(connection)
        .await?
        .rows_affected();
    Ok(MeterChanges {
        configured: meters.len(),
        deactivated: usize::try_from(deactivated).unwrap_or(usize::MAX),
    })
}

/// JSON arrays in the order of the queries' columns; of a meter named twice the last entry counts.
fn entries(meters: &[MeterConfiguration]) -> String {
    let last: HashMap<&str, usize> = meters
        .iter()
        .enumerate()
        .map(|(position, meter)| (meter.external_id.as_str(), position))
        .collect();
    let entries: Vec<_> = meters
        .iter()
        .enumerate()
        .filter(|(position, meter)| last.get(meter.external_id.as_str()) == Some(position))
        .map(|(_, meter)| {
            serde_json::json!([
                meter.external_id,
                meter.name,
                meter.bacnet_device_id,
                meter.bacnet_ip,
                meter.config
            ])
        })
        .collect();
    serde_json::Value::from(entries).to_string()
}
