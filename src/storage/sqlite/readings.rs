//! Readings as shown to people.

use sqlx::{SqliteConnection, sqlite::SqliteRow};

use super::{cells, paging};
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
    connection: &mut SqliteConnection,
    meter: Option<&str>,
    since: Timestamp,
    window: Window,
) -> Result<Page<ReadingRow>, StoreError> {
    let chosen = |statement| {
        sqlx::query(statement)
            .bind(since.to_stored())
            .bind(meter.map(str::to_owned))
            .bind(LOOKED_THROUGH)
    };
    let total = chosen(include_str!("queries/readings_total.sql"));
    let rows = chosen(include_str!("queries/readings_page.sql"));
    paging::page(connection, total, rows, window, reading_row).await
}

fn reading_row(row: &SqliteRow) -> Result<ReadingRow, StoreError> {
    Ok(ReadingRow {
        id: cells::required_integer(row, 0)?,
        meter_external_id: cells::text(row, 1)?,
        timestamp: cells::text(row, 2)?.map(shown_time),
        data_point: cells::text(row, 3)?,
        value: number(cells::cell(row, 4)?),
        unit: cells::text(row, 5)?,
        is_synchronized: cells::boolean(row, 6)?.unwrap_or_default(),
        retry_count: cells::integer(row, 7)?.unwrap_or_default(),
        created_at: cells::time(row, 8)?,
    })
}

fn shown_time(stored: String) -> String {
    Timestamp::parse_stored(&stored).map_or(stored, |time| time.to_string())
}

fn number(cell: RawCell) -> Option<ReadingValue> {
    match cell {
        RawCell::Integer(number) => Some(number.into()),
        RawCell::Real(number) => ReadingValue::from_f64(number),
        RawCell::Text(text) => ReadingValue::parse(&text),
        RawCell::Null | RawCell::Blob | RawCell::Time(_) => None,
    }
}

/// When the newest reading was measured, as far as the meters and the latest 1,000 readings know.
pub(super) async fn last_collection(
    connection: &mut SqliteConnection,
) -> Result<Option<Timestamp>, StoreError> {
    let rows = sqlx::query(include_str!("queries/last_collection.sql"))
        .fetch_all(connection)
        .await?;
    let mut newest = None;
    for row in &rows {
        newest = newest.max(cells::time(row, 0)?);
    }
    Ok(newest)
}
