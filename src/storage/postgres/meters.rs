//! The table `meters`.

use sqlx::{PgConnection, postgres::PgRow};

use super::{cells, manifests::storable, paging};
use crate::{
    domain::{
        meter::{Meter, MeterChanges, MeterConfiguration},
        timestamp::Timestamp,
    },
    storage::{Page, StoreError, Window},
};

/// Meters by name.
pub(super) async fn page(
    connection: &mut PgConnection,
    window: Window,
) -> Result<Page<Meter>, StoreError> {
    let total = sqlx::query(include_str!("queries/meters_total.sql"));
    let rows = sqlx::query(include_str!("queries/meters_page.sql"));
    paging::page(connection, total, rows, window, meter).await
}

fn meter(row: &PgRow) -> Result<Meter, StoreError> {
    Ok(Meter {
        id: cells::get(row, 0)?,
        external_id: cells::get(row, 1)?,
        name: cells::get(row, 2)?,
        bacnet_device_id: cells::get::<Option<i32>>(row, 3)?.map(i64::from),
        bacnet_ip: cells::get(row, 4)?,
        last_reading_at: cells::optional_time(row, 5)?,
        // The column's default, for rows that were written without one.
        is_active: cells::get::<Option<bool>>(row, 6)?.unwrap_or(true),
        created_at: cells::optional_time(row, 7)?,
    })
}

/// Takes a configuration over. What it leaves out of a meter stays; meters that it leaves out become
/// inactive, unless it names none at all.
pub(super) async fn upsert(
    connection: &mut PgConnection,
    meters: &[MeterConfiguration],
    now: Timestamp,
) -> Result<MeterChanges, StoreError> {
    if meters.is_empty() {
        return Ok(MeterChanges::default());
    }
    let text = |field: &Option<String>| field.as_deref().map(storable);
    let external_ids: Vec<_> = meters
        .iter()
        .map(|meter| storable(&meter.external_id))
        .collect();
    sqlx::query(include_str!("queries/upsert_meters.sql"))
        .bind(&external_ids)
        .bind(column(meters, |meter| storable(&meter.name)))
        .bind(column(meters, |meter| meter.bacnet_device_id))
        .bind(column(meters, |meter| text(&meter.bacnet_ip)))
        .bind(column(meters, |meter| text(&meter.config)))
        .bind(now.0.naive_utc())
        .execute(&mut *connection)
        .await?;
    let deactivated = sqlx::query(include_str!("queries/deactivate_meters.sql"))
        .bind(&external_ids)
        .bind(now.0.naive_utc())
        .execute(connection)
        .await?
        .rows_affected();
    Ok(MeterChanges {
        configured: meters.len(),
        deactivated: usize::try_from(deactivated).unwrap_or(usize::MAX),
    })
}

fn column<T>(meters: &[MeterConfiguration], of: impl Fn(&MeterConfiguration) -> T) -> Vec<T> {
    meters.iter().map(of).collect()
}
