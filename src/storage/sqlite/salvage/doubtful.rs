//! Readings of which nobody can tell whether they had been uploaded: they go to quarantine, where a person decides.

use std::collections::HashSet;

use sqlx::SqliteConnection;

use super::{
    super::quarantine,
    known::{QUARANTINE, TABLES},
    pages::Value,
    plan::Doubt,
};
use crate::{
    domain::{
        quarantine::QuarantineReason,
        reading::{RawCell, ReadingId},
        timestamp::Timestamp,
    },
    storage::StoreError,
};

/// What all messages of a salvage begin with.
const SAVED: &str = "saved from a damaged database";

/// Makes the notes of this salvage: the readings that wait, and the doubtful ones that an interrupted try brought.
pub(super) async fn begin(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    for statement in [
        "DROP TABLE IF EXISTS temp.pending",
        "DROP TABLE IF EXISTS temp.doubtful",
        "CREATE TABLE temp.pending (id INTEGER PRIMARY KEY)",
        "CREATE TABLE temp.doubtful (reading_id, meter, time, point, value, PRIMARY KEY (reading_id, meter, time, point, value)) WITHOUT ROWID",
        "INSERT OR IGNORE INTO temp.doubtful \
         SELECT reading_id, coalesce(meter_external_id, ''), coalesce(timestamp, ''), coalesce(data_point, ''), \
         coalesce(value, '') FROM main.quarantined_readings \
         WHERE reason = 'possibly_stored' AND message LIKE 'saved from a damaged database%'",
    ] {
        sqlx::query(statement).execute(&mut *connection).await?;
    }
    Ok(())
}

/// Notes ids of readings that wait.
pub(super) async fn note_pending(
    connection: &mut SqliteConnection,
    ids: &[ReadingId],
) -> Result<(), StoreError> {
    sqlx::query("INSERT OR IGNORE INTO temp.pending SELECT value FROM json_each(?1)")
        .bind(serde_json::json!(ids).to_string())
        .execute(connection)
        .await?;
    Ok(())
}

/// Those of the readings that the index of waiting readings names.
pub(super) async fn waiting(
    connection: &mut SqliteConnection,
    ids: &[ReadingId],
) -> Result<HashSet<ReadingId>, StoreError> {
    let question = "SELECT id FROM temp.pending WHERE id IN (SELECT value FROM json_each(?1))";
    let found: Vec<ReadingId> = sqlx::query_scalar(question)
        .bind(serde_json::json!(ids).to_string())
        .fetch_all(connection)
        .await?;
    Ok(found.into_iter().collect())
}

/// Those that the index names and that were found nowhere.
pub(super) async fn pending_without_reading(
    connection: &mut SqliteConnection,
) -> Result<Vec<ReadingId>, StoreError> {
    let question = "SELECT id FROM temp.pending AS pending \
         WHERE NOT EXISTS (SELECT 1 FROM main.meter_readings WHERE id = pending.id) \
         AND NOT EXISTS (SELECT 1 FROM temp.doubtful WHERE reading_id = pending.id)";
    Ok(sqlx::query_scalar(question).fetch_all(connection).await?)
}

/// Readings that were set aside, each counted once.
pub(super) async fn count(connection: &mut SqliteConnection) -> Result<u64, StoreError> {
    let count: i64 = sqlx::query_scalar("SELECT count(*) FROM temp.doubtful")
        .fetch_one(connection)
        .await?;
    Ok(count.unsigned_abs())
}

/// Sets a reading aside, unless an interrupted try has done so.
pub(super) async fn quarantine(
    connection: &mut SqliteConnection,
    row: &[Value],
    doubt: Doubt,
    now: Timestamp,
) -> Result<(), StoreError> {
    let cell = |index: usize| row.get(index).map_or(RawCell::Null, raw);
    let text = |index| cell(index).to_text();
    let id = match cell(0) {
        RawCell::Integer(id) => id,
        _ => 0,
    };
    let key = [1, 2, 3, 4].map(|index| text(index).unwrap_or_default());
    let [meter, time, point, value] = key;
    let noted = sqlx::query("INSERT OR IGNORE INTO temp.doubtful VALUES (?1, ?2, ?3, ?4, ?5)")
        .bind(id)
        .bind(meter)
        .bind(time)
        .bind(point)
        .bind(value)
        .execute(&mut *connection)
        .await?;
    if noted.rows_affected() == 0 {
        return Ok(());
    }
    quarantine::insert_with_audit(connection, vec![entry(row, doubt)], now).await
}

/// The reading as an entry of the quarantine.
pub(super) fn entry(row: &[Value], doubt: Doubt) -> serde_json::Value {
    let cell = |index: usize| row.get(index).map_or(RawCell::Null, raw);
    let text = |index| cell(index).to_text();
    let integer = |index| match cell(index) {
        RawCell::Integer(number) => number,
        _ => 0,
    };
    let message = format!(
        "{SAVED}: a reading {}; whether it had been uploaded is not known",
        doubt.words()
    );
    serde_json::json!([
        integer(0),
        text(1),
        text(2),
        text(3),
        text(4),
        text(5),
        integer(7),
        text(8),
        QuarantineReason::PossiblyStored.as_str(),
        None::<u16>,
        message,
        None::<String>,
    ])
}

/// An entry of the quarantine that may have been re-queued or discarded long ago.
pub(super) fn doubted(mut row: Vec<Value>, doubt: Doubt) -> Vec<Value> {
    let columns = TABLES
        .get(QUARANTINE)
        .map_or(&[][..], |known| known.columns);
    for (column, value) in columns.iter().zip(&mut row) {
        match column.name {
            "reason" => {
                *value = Value::Text(QuarantineReason::PossiblyStored.as_str().into());
            }
            "message" => {
                let before = match value {
                    Value::Text(bytes) => String::from_utf8_lossy(bytes).into_owned(),
                    _ => String::new(),
                };
                let words = format!("{SAVED}: an entry {}; before: {before}", doubt.words());
                *value = Value::Text(words.into_bytes());
            }
            _ => {}
        }
    }
    row
}

fn raw(value: &Value) -> RawCell {
    match value {
        Value::Null => RawCell::Null,
        Value::Integer(number) => RawCell::Integer(*number),
        Value::Real(number) => RawCell::Real(*number),
        Value::Text(bytes) => {
            std::str::from_utf8(bytes).map_or(RawCell::Blob, |text| RawCell::Text(text.into()))
        }
        Value::Blob(_) => RawCell::Blob,
    }
}
