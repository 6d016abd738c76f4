//! Readings as shown to people.

use sqlx::{PgConnection, postgres::PgRow};

use super::{cells, manifests::storable, paging};
use crate::{
    domain::{
        reading::{RawCell, ReadingRow},
        timestamp::Timestamp,
        value::ReadingValue,
    },
    storage::{Page, StoreError, Window},
};

/// How many of the newest readings are looked through. The table may hold millions; an index on the time of
/// measurement would make every reading pay on its way in and out for a question that is seldom asked.
const LOOKED_THROUGH: i64 = 100_000;

/// Readings measured since a point in time, the latest first, among the 100,000 that came in last.
pub(super) async fn newest(
    connection: &mut PgConnection,
    meter: Option<&str>,
    since: Timestamp,
    window: Window,
) -> Result<Page<ReadingRow>, StoreError> {
    let chosen = |statement| {
        sqlx::query(statement)
            .bind(since.0.naive_utc())
            .bind(meter.map(storable))
            .bind(LOOKED_THROUGH)
    };
    let total = chosen(include_str!("queries/readings_total.sql"));
    let rows = chosen(include_str!("queries/readings_page.sql"));
    paging::page(connection, total, rows, window, reading_row).await
}

fn reading_row(row: &PgRow) -> Result<ReadingRow, StoreError> {
    Ok(ReadingRow {
        id: cells::get(row, 0)?,
        meter_external_id: cells::text(row, 1)?.to_text(),
        timestamp: match cells::time(row, 2)? {
            RawCell::Time(time) => Some(time.to_string()),
            cell => cell.to_text(),
        },
        data_point: cells::text(row, 3)?.to_text(),
        value: cells::decimal(row, 4)?
            .to_text()
            .and_then(|text| ReadingValue::parse(&text)),
        unit: cells::text(row, 5)?.to_text(),
        is_synchronized: cells::get::<Option<bool>>(row, 6)?.unwrap_or_default(),
        retry_count: cells::get::<Option<i32>>(row, 7)?
            .unwrap_or_default()
            .into(),
        created_at: cells::optional_time(row, 8)?,
    })
}

/// When the newest reading was measured, as far as the meters and the latest 1,000 readings know.
pub(super) async fn last_collection(
    connection: &mut PgConnection,
) -> Result<Option<Timestamp>, StoreError> {
    let row = sqlx::query(include_str!("queries/last_collection.sql"))
        // Planned anew each time: a plan that was made for an empty table would sort the whole of a long queue.
        .persistent(false)
        .fetch_one(connection)
        .await?;
    cells::optional_time(&row, 0)
}
