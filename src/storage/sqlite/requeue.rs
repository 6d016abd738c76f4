//! The way back from quarantine into the queue.

use sqlx::{SqliteConnection, sqlite::SqliteRow};

use super::{cells, claims, quarantine};
use crate::{
    domain::{
        quarantine::{QuarantineFilter, QuarantineReason},
        reading::{RawCell, RawReading, Reading},
        timestamp::Timestamp,
    },
    storage::{QuarantineActionResult, StoreError},
};

/// Entries that are looked at in one go.
const CHUNK: usize = 1000;

/// Returns entries to the queue under new ids; passes over those that cannot be sent, and those that may be
/// stored already unless a double is accepted.
pub(super) async fn requeue(
    connection: &mut SqliteConnection,
    filter: &QuarantineFilter,
    accept_double: bool,
    now: Timestamp,
) -> Result<QuarantineActionResult, StoreError> {
    let mut result = QuarantineActionResult::default();
    let mut after = i64::MIN;
    loop {
        let rows = candidates(connection, filter, after).await?;
        let Some(last) = rows.last() else {
            return Ok(result);
        };
        after = cells::required_integer(last, 0)?;
        let mut returning = Vec::new();
        for row in &rows {
            match judge(row, accept_double)? {
                Verdict::Returns(values) => returning.push(values),
                Verdict::MayBeStored => result.possibly_stored += 1,
                Verdict::Unreadable(problem) => {
                    result.unreadable += 1;
                    result.first_problem.get_or_insert(problem);
                }
            }
        }
        result.affected += returning.len() as u64;
        give_back(connection, returning, now).await?;
    }
}

enum Verdict {
    /// The values for the new row, the quarantine id first.
    Returns(Vec<serde_json::Value>),
    MayBeStored,
    Unreadable(String),
}

async fn candidates(
    connection: &mut SqliteConnection,
    filter: &QuarantineFilter,
    after: i64,
) -> Result<Vec<SqliteRow>, StoreError> {
    let rows = quarantine::filtered(include_str!("queries/requeue_candidates.sql"), filter)
        .bind(after)
        .bind(CHUNK as i64)
        .fetch_all(connection)
        .await?;
    Ok(rows)
}

fn judge(row: &SqliteRow, accept_double: bool) -> Result<Verdict, StoreError> {
    if quarantine::reason(row, 6)? == QuarantineReason::PossiblyStored && !accept_double {
        return Ok(Verdict::MayBeStored);
    }
    let id = cells::required_integer(row, 0)?;
    let reading = match binary_cells_as_such(claims::raw_reading(row)?).parse() {
        Ok(reading) => reading,
        Err(problem) => return Ok(Verdict::Unreadable(format!("entry {id}: {problem}"))),
    };
    let retry_count = cells::integer(row, 7)?.unwrap_or_default();
    let arrived = cells::text(row, 8)?;
    Ok(Verdict::Returns(values(id, &reading, retry_count, arrived)))
}

/// Binary data is kept as words about it, which must not pass for a name.
fn binary_cells_as_such(mut reading: RawReading) -> RawReading {
    let words = RawCell::Blob.to_text();
    for cell in [
        &mut reading.meter_external_id,
        &mut reading.data_point,
        &mut reading.unit,
    ] {
        if cell.to_text() == words {
            *cell = RawCell::Blob;
        }
    }
    reading
}

fn values(
    id: i64,
    reading: &Reading,
    retry_count: i64,
    arrived: Option<String>,
) -> Vec<serde_json::Value> {
    vec![
        id.into(),
        reading.meter_external_id.as_str().into(),
        reading.timestamp.to_stored().into(),
        reading.data_point.as_str().into(),
        reading.value.as_str().into(),
        reading.unit.as_deref().into(),
        retry_count.into(),
        arrived.into(),
    ]
}

async fn give_back(
    connection: &mut SqliteConnection,
    returning: Vec<Vec<serde_json::Value>>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let quarantine_ids: Vec<_> = returning.iter().map(|values| values[0].clone()).collect();
    let new_rows = sqlx::query(include_str!("queries/insert_requeued.sql"))
        .bind(serde_json::Value::from(returning).to_string())
        .fetch_all(&mut *connection)
        .await?;
    let mut new_ids = Vec::with_capacity(new_rows.len());
    for row in &new_rows {
        new_ids.push(cells::required_integer(row, 0)?);
    }
    // Ids are given in the order of insertion, but SQLite reports them in whatever order it likes.
    new_ids.sort_unstable();
    let pairs: Vec<_> = quarantine_ids
        .into_iter()
        .zip(new_ids)
        .map(|(quarantine_id, new_id)| serde_json::json!([quarantine_id, new_id]))
        .collect();
    let pairs = serde_json::Value::from(pairs).to_string();
    sqlx::query(include_str!("queries/audit_requeued.sql"))
        .bind(pairs.clone())
        .bind(now.to_stored())
        .execute(&mut *connection)
        .await?;
    sqlx::query(include_str!("queries/delete_requeued.sql"))
        .bind(pairs)
        .execute(connection)
        .await?;
    Ok(())
}
