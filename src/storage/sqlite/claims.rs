//! Finds the readings that are nobody's yet.

use std::ops::RangeInclusive;

use sqlx::{SqliteConnection, sqlite::SqliteRow};

use super::{cells, errors};
use crate::{
    domain::{
        batch::ClaimOrder,
        reading::{RawReading, ReadingId},
        reading_ids::ReadingIds,
    },
    storage::StoreError,
};

/// Up to `limit` pending readings that no manifest holds, ascending by id.
pub(super) async fn claimable(
    connection: &mut SqliteConnection,
    order: ClaimOrder,
    limit: usize,
) -> Result<Vec<RawReading>, StoreError> {
    let held = HeldIds::read(connection).await?;
    let mut after = match order {
        ClaimOrder::Oldest => ReadingId::MIN,
        ClaimOrder::After(id) => id,
    };
    let mut found = Vec::new();
    // In front of the queue lie whole runs of held readings: a single row is enough to notice one and jump.
    let mut step = 1;
    while found.len() < limit {
        step = step.min(limit - found.len());
        let rows = pending_after(connection, after, step).await?;
        let Some(last) = rows.last().map(|reading| reading.id) else {
            break;
        };
        let is_end = rows.len() < step;
        let before = found.len();
        found.extend(
            rows.into_iter()
                .filter(|reading| held.run_with(reading.id).is_none()),
        );
        if is_end {
            break;
        }
        after = held.run_with(last).map_or(last, |run| *run.end());
        // Scattered held readings must not cost a query each, nor free ones.
        step = if found.len() > before {
            limit
        } else {
            step.saturating_mul(2)
        };
    }
    Ok(found)
}

async fn pending_after(
    connection: &mut SqliteConnection,
    after: ReadingId,
    limit: usize,
) -> Result<Vec<RawReading>, StoreError> {
    let rows = sqlx::query(include_str!("queries/claim.sql"))
        .bind(after)
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(connection)
        .await?;
    rows.iter().map(raw_reading).collect()
}

/// A row whose first columns are the id and the reading's five fields.
pub(super) fn raw_reading(row: &SqliteRow) -> Result<RawReading, StoreError> {
    Ok(RawReading {
        id: cells::required_integer(row, 0)?,
        meter_external_id: cells::cell(row, 1)?,
        timestamp: cells::cell(row, 2)?,
        data_point: cells::cell(row, 3)?,
        value: cells::cell(row, 4)?,
        unit: cells::cell(row, 5)?,
    })
}

/// The ids in all manifests, as few and long runs as possible.
struct HeldIds(Vec<RangeInclusive<ReadingId>>);

impl HeldIds {
    async fn read(connection: &mut SqliteConnection) -> Result<Self, StoreError> {
        let rows = sqlx::query(include_str!("queries/claimed_ids.sql"))
            .fetch_all(connection)
            .await?;
        let mut runs = Vec::new();
        for row in &rows {
            let ids = ReadingIds::decode(&cells::required_text(row, 0)?)
                .ok_or_else(|| errors::nonsense("upload_manifests.reading_ids"))?;
            runs.extend_from_slice(ids.runs());
        }
        Ok(Self::from_runs(runs))
    }

    fn from_runs(mut runs: Vec<RangeInclusive<ReadingId>>) -> Self {
        runs.sort_unstable_by_key(|run| *run.start());
        let mut merged: Vec<RangeInclusive<ReadingId>> = Vec::new();
        for run in runs {
            match merged.last_mut() {
                Some(last) if *run.start() <= last.end().saturating_add(1) => {
                    *last = *last.start()..=*run.end().max(last.end());
                }
                _ => merged.push(run),
            }
        }
        Self(merged)
    }

    fn run_with(&self, id: ReadingId) -> Option<&RangeInclusive<ReadingId>> {
        let next = self.0.partition_point(|run| *run.end() < id);
        self.0.get(next).filter(|run| run.contains(&id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbouring_batches_become_one_run() {
        let held = HeldIds::from_runs(vec![11..=20, 40..=40, 1..=10, 41..=50, 5..=6]);
        assert_eq!(held.0, [1..=20, 40..=50]);
        assert_eq!(held.run_with(13), Some(&(1..=20)));
        assert_eq!(held.run_with(21), None);
    }
}
