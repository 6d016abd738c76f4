//! The quarantine: setting readings aside, looking at them, correcting and discarding them.

use std::collections::HashMap;

use sqlx::{PgConnection, postgres::PgArguments, postgres::PgRow, query::Query};

use super::{cells, claims, manifests::storable, paging, settlement};
use crate::{
    domain::{
        quarantine::{
            QuarantineCorrection, QuarantineFilter, QuarantineReason, QuarantinedReading,
        },
        reading::ReadingId,
        reading_ids::ReadingIds,
        timestamp::Timestamp,
    },
    storage::{Page, QuarantineActionResult, QuarantineEntry, StoreError, Window, errors},
};

/// Entries that are moved with one statement.
const CHUNK: usize = 1000;

/// Moves readings out of the queue, each with a row in the audit. Returns which there were to move.
pub(super) async fn set_aside(
    connection: &mut PgConnection,
    entries: &[QuarantineEntry],
    now: Timestamp,
) -> Result<ReadingIds, StoreError> {
    let mut moved = Vec::new();
    for chunk in entries.chunks(CHUNK) {
        moved.extend(set_chunk_aside(connection, chunk, now).await?);
    }
    Ok(moved.into_iter().collect())
}

async fn set_chunk_aside(
    connection: &mut PgConnection,
    entries: &[QuarantineEntry],
    now: Timestamp,
) -> Result<Vec<ReadingId>, StoreError> {
    let entries: HashMap<ReadingId, &QuarantineEntry> = entries
        .iter()
        .map(|entry| (entry.reading_id, entry))
        .collect();
    let ids: Vec<ReadingId> = entries.keys().copied().collect();
    let all_unreadable = entries
        .values()
        .all(|entry| entry.reason == QuarantineReason::Unreadable);
    let statement = if all_unreadable {
        // Nobody has sent these, so they can wait for whoever corrects them.
        concat!(
            include_str!("queries/readings_for_quarantine.sql"),
            "SKIP LOCKED"
        )
    } else {
        include_str!("queries/readings_for_quarantine.sql")
    };
    let rows = sqlx::query(statement)
        .bind(&ids)
        .fetch_all(&mut *connection)
        .await?;
    let mut values = Vec::with_capacity(rows.len());
    let mut moved = Vec::with_capacity(rows.len());
    for row in &rows {
        let id: ReadingId = cells::get(row, 0)?;
        let is_corrected = all_unreadable && claims::raw_reading(row)?.parse().is_ok();
        if let Some(entry) = entries.get(&id)
            && !is_corrected
        {
            values.push(quarantine_values(row, entry)?);
            moved.push(id);
        }
    }
    insert_with_audit(connection, values, now).await?;
    let ids = moved.iter().copied().collect();
    settlement::delete_readings(connection, &ids).await?;
    Ok(moved)
}

/// In the order of the query's columns.
fn quarantine_values(
    row: &PgRow,
    entry: &QuarantineEntry,
) -> Result<serde_json::Value, StoreError> {
    let reading = claims::raw_reading(row)?;
    Ok(serde_json::json!([
        reading.id,
        reading.meter_external_id.to_text(),
        reading.timestamp.to_text(),
        reading.data_point.to_text(),
        reading.value.to_text(),
        reading.unit.to_text(),
        cells::get::<Option<i32>>(row, 6)?.unwrap_or_default(),
        cells::time(row, 7)?.to_text(),
        entry.reason.as_str(),
        entry.status,
        storable(&entry.message),
        entry.key,
    ]))
}

/// Writes entries, their values in the order of the query's columns, each with a row in the audit.
pub(super) async fn insert_with_audit(
    connection: &mut PgConnection,
    values: Vec<serde_json::Value>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let rows = sqlx::query(include_str!("queries/insert_quarantined.sql"))
        .bind(serde_json::Value::from(values).to_string())
        .bind(now.0.naive_utc())
        .fetch_all(&mut *connection)
        .await?;
    let mut ids: Vec<i64> = Vec::with_capacity(rows.len());
    for row in &rows {
        ids.push(cells::get(row, 0)?);
    }
    sqlx::query(include_str!("queries/audit_quarantined.sql"))
        .bind(ids)
        .bind(now.0.naive_utc())
        .execute(connection)
        .await?;
    Ok(())
}

/// How many entries there are.
pub(super) async fn count(connection: &mut PgConnection) -> Result<u64, StoreError> {
    let row = sqlx::query(include_str!("queries/quarantined_count.sql"))
        .fetch_one(connection)
        .await?;
    cells::count(&row, 0)
}

/// Entries, newest first.
pub(super) async fn page(
    connection: &mut PgConnection,
    filter: &QuarantineFilter,
    window: Window,
) -> Result<Page<QuarantinedReading>, StoreError> {
    let total = filtered(include_str!("queries/quarantine_total.sql"), filter);
    let rows = filtered(include_str!("queries/quarantine_page.sql"), filter);
    paging::page(connection, total, rows, window, quarantined).await
}

fn quarantined(row: &PgRow) -> Result<QuarantinedReading, StoreError> {
    Ok(QuarantinedReading {
        id: cells::get(row, 0)?,
        reading_id: cells::get(row, 1)?,
        meter_external_id: cells::get(row, 2)?,
        timestamp: cells::get(row, 3)?,
        data_point: cells::get(row, 4)?,
        value: cells::get(row, 5)?,
        unit: cells::get(row, 6)?,
        reason: reason(row, 7)?,
        status: cells::get::<Option<i32>>(row, 8)?.and_then(|status| status.try_into().ok()),
        message: cells::get(row, 9)?,
        idempotency_key: cells::get(row, 10)?,
        quarantined_at: cells::required_time(row, 11)?,
    })
}

/// The reason in column `index`.
pub(super) fn reason(row: &PgRow, index: usize) -> Result<QuarantineReason, StoreError> {
    QuarantineReason::parse(cells::get(row, index)?)
        .ok_or_else(|| errors::nonsense("quarantined_readings.reason"))
}

/// Changes fields of an entry; false where there is none.
pub(super) async fn correct(
    connection: &mut PgConnection,
    id: i64,
    correction: &QuarantineCorrection,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let before = sqlx::query(include_str!("queries/contents_before_correction.sql"))
        .bind(id)
        .fetch_optional(&mut *connection)
        .await?;
    let Some(before) = before else {
        return Ok(false);
    };
    sqlx::query(include_str!("queries/correct.sql"))
        .bind(id)
        .bind(correction.meter_external_id.as_deref().map(storable))
        .bind(correction.timestamp.map(Timestamp::to_stored))
        .bind(correction.data_point.as_deref().map(storable))
        .bind(correction.value.as_deref().map(storable))
        .bind(correction.unit.is_some())
        .bind(correction.unit.clone().flatten().as_deref().map(storable))
        .execute(&mut *connection)
        .await?;
    sqlx::query(include_str!("queries/audit_corrected.sql"))
        .bind(id)
        .bind(cells::get::<String>(&before, 0)?)
        .bind(now.0.naive_utc())
        .execute(connection)
        .await?;
    Ok(true)
}

/// Removes entries for good.
pub(super) async fn discard(
    connection: &mut PgConnection,
    filter: &QuarantineFilter,
    now: Timestamp,
) -> Result<QuarantineActionResult, StoreError> {
    filtered(include_str!("queries/audit_discarded.sql"), filter)
        .bind(now.0.naive_utc())
        .execute(&mut *connection)
        .await?;
    let discarded = filtered(include_str!("queries/discard.sql"), filter)
        .execute(connection)
        .await?;
    Ok(QuarantineActionResult {
        affected: discarded.rows_affected(),
        ..QuarantineActionResult::default()
    })
}

/// A query whose first three parameters are the filter.
pub(super) fn filtered(
    statement: &'static str,
    filter: &QuarantineFilter,
) -> Query<'static, sqlx::Postgres, PgArguments> {
    sqlx::query(statement)
        .bind(filter.id)
        .bind(filter.reason.map(QuarantineReason::as_str))
        // As the entries were written.
        .bind(filter.meter.as_deref().map(storable))
}
