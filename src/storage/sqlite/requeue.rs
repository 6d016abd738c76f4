//! The way back from quarantine into the queue.

use sqlx::{SqliteConnection, sqlite::SqliteRow};

use super::{cells, claims, quarantine};
use crate::{
    domain::{quarantine::QuarantineFilter, timestamp::Timestamp},
    storage::{
        QuarantineActionResult, StoreError,
        requeueing::{self, Candidate, Returning},
    },
};

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
        let candidates = candidates(connection, filter, after).await?;
        let Some(last) = candidates.last() else {
            return Ok(result);
        };
        after = last.contents.id;
        let returning = requeueing::choose(candidates, accept_double, |_| Ok(()), &mut result);
        give_back(connection, &returning, now).await?;
    }
}

async fn candidates(
    connection: &mut SqliteConnection,
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

fn candidate(row: &SqliteRow) -> Result<Candidate, StoreError> {
    Ok(Candidate {
        contents: claims::raw_reading(row)?,
        reason: quarantine::reason(row, 6)?,
        retry_count: cells::integer(row, 7)?.unwrap_or_default(),
        arrived: cells::text(row, 8)?,
    })
}

async fn give_back(
    connection: &mut SqliteConnection,
    returning: &[Returning],
    now: Timestamp,
) -> Result<(), StoreError> {
    let values: Vec<_> = returning.iter().map(Returning::values).collect();
    let new_rows = sqlx::query(include_str!("queries/insert_requeued.sql"))
        .bind(serde_json::Value::from(values).to_string())
        .fetch_all(&mut *connection)
        .await?;
    let mut new_ids = Vec::with_capacity(new_rows.len());
    for row in &new_rows {
        new_ids.push(cells::required_integer(row, 0)?);
    }
    // Ids are given in the order of insertion, but SQLite reports them in whatever order it likes.
    new_ids.sort_unstable();
    let pairs: Vec<_> = returning
        .iter()
        .zip(new_ids)
        .map(|(entry, new_id)| serde_json::json!([entry.quarantine_id, new_id]))
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
