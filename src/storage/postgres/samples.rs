//! The table `status_samples`.

use std::ops::Range;

use sqlx::{PgConnection, postgres::PgRow};

use super::cells;
use crate::{
    domain::history::{KEPT_MINUTES, Sample, beginning_of},
    storage::StoreError,
};

/// Adds a minute, and forgets those that are too old.
pub(super) async fn record(
    connection: &mut PgConnection,
    sample: &Sample,
) -> Result<(), StoreError> {
    sqlx::query(include_str!("queries/record_sample.sql"))
        .bind(sample.minute())
        .bind(stored(sample.pending))
        .bind(sample.oldest_pending_age_s.map(stored))
        .bind(stored(sample.uploaded))
        .bind(stored(sample.offline_s))
        .execute(&mut *connection)
        .await?;
    sqlx::query(include_str!("queries/forget_samples.sql"))
        .bind(sample.minute() - KEPT_MINUTES)
        .execute(connection)
        .await?;
    Ok(())
}

/// The minutes that are known, ascending.
pub(super) async fn within(
    connection: &mut PgConnection,
    minutes: Range<i64>,
) -> Result<Vec<Sample>, StoreError> {
    sqlx::query(include_str!("queries/samples.sql"))
        .bind(minutes.start)
        .bind(minutes.end)
        .fetch_all(connection)
        .await?
        .iter()
        .map(sample)
        .collect()
}

fn sample(row: &PgRow) -> Result<Sample, StoreError> {
    Ok(Sample {
        at: beginning_of(cells::get(row, 0)?),
        pending: cells::get::<i64>(row, 1)?.unsigned_abs(),
        oldest_pending_age_s: cells::get::<Option<i64>>(row, 2)?.map(i64::unsigned_abs),
        uploaded: cells::get::<i64>(row, 3)?.unsigned_abs(),
        offline_s: cells::get::<i64>(row, 4)?.unsigned_abs(),
    })
}

fn stored(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
