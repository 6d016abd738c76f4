//! The way back from quarantine into the queue.

use chrono::Datelike;
use sqlx::{PgConnection, postgres::PgRow};

use super::{
    cells,
    limits::{self, Limits},
    quarantine,
};
use crate::{
    domain::{
        quarantine::QuarantineFilter,
        reading::{RawReading, Reading},
        timestamp::Timestamp,
    },
    storage::{
        QuarantineActionResult, StoreError,
        requeueing::{self, Candidate, Returning},
    },
};

/// Returns entries to the queue under new ids; passes over those that cannot be sent or would be rounded, and those
/// that may be stored already unless a double is accepted.
pub(super) async fn requeue(
    connection: &mut PgConnection,
    filter: &QuarantineFilter,
    accept_double: bool,
    now: Timestamp,
) -> Result<QuarantineActionResult, StoreError> {
    let mut result = QuarantineActionResult::default();
    let limits = Limits::read(connection).await?;
    let mut after = i64::MIN;
    loop {
        let candidates = candidates(connection, filter, after).await?;
        let Some(last) = candidates.last() else {
            return Ok(result);
        };
        after = last.contents.id;
        let check = |reading: &Reading| limits.check(reading);
        let returning = requeueing::choose(candidates, accept_double, check, &mut result);
        give_back(connection, &returning, now).await?;
    }
}

async fn candidates(
    connection: &mut PgConnection,
    filter: &QuarantineFilter,
    after: i64,
) -> Result<Vec<Candidate>, StoreError> {
    let rows = quarantine::filtered(include_str!("queries/requeue_candidates.sql"), filter)
        .bind(after)
        .bind(requeueing::CHUNK)
        .fetch_all(connection)
        .await?;
    rows.iter().map(candidate).collect()
}

fn candidate(row: &PgRow) -> Result<Candidate, StoreError> {
    Ok(Candidate {
        contents: RawReading {
            id: cells::get(row, 0)?,
            meter_external_id: cells::text(row, 1)?,
            timestamp: cells::text(row, 2)?,
            data_point: cells::text(row, 3)?,
            value: cells::text(row, 4)?,
            unit: cells::text(row, 5)?,
            writer: None,
        },
        reason: quarantine::reason(row, 6)?,
        retry_count: cells::get(row, 7)?,
        // Of other programs' making, and perhaps no time that the column holds.
        arrived: cells::get::<Option<String>>(row, 8)?
            .as_deref()
            .and_then(storable_time),
    })
}

fn storable_time(text: &str) -> Option<String> {
    let time = Timestamp::parse_stored(text)?;
    limits::YEARS
        .contains(&time.0.year())
        .then(|| time.to_stored())
}

async fn give_back(
    connection: &mut PgConnection,
    returning: &[Returning],
    now: Timestamp,
) -> Result<(), StoreError> {
    let values: Vec<_> = returning.iter().map(Returning::values).collect();
    let new_rows = sqlx::query(include_str!("queries/insert_requeued.sql"))
        .bind(serde_json::Value::from(values).to_string())
        .fetch_all(&mut *connection)
        .await?;
    let mut new_ids: Vec<i64> = Vec::with_capacity(new_rows.len());
    for row in &new_rows {
        new_ids.push(cells::get(row, 0)?);
    }
    // Ids are given in the order of insertion, which nobody promises for the rows of the answer.
    new_ids.sort_unstable();
    let quarantine_ids: Vec<_> = returning.iter().map(|entry| entry.quarantine_id).collect();
    sqlx::query(include_str!("queries/audit_requeued.sql"))
        .bind(&quarantine_ids)
        .bind(new_ids)
        .bind(now.0.naive_utc())
        .execute(&mut *connection)
        .await?;
    sqlx::query(include_str!("queries/delete_requeued.sql"))
        .bind(quarantine_ids)
        .execute(connection)
        .await?;
    Ok(())
}
