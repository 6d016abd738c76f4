//! A look at the queue from outside, beside whatever services share it: reads only, and not for long.

use sqlx::{PgConnection, postgres::PgRow};

use super::{PostgresStore, cells, facts, options::Server, queue};
use crate::{
    domain::{
        queue_shape::{BatchGroup, QuarantineGroup, QueueShape},
        timestamp::Timestamp,
    },
    storage::{Fact, StoreError},
};

impl PostgresStore {
    /// What the queue in a database looks like; it has to be in the present shape. Changes nothing.
    ///
    /// # Errors
    /// Where the server cannot be reached, and where it takes longer than a look is worth.
    pub async fn queue_shape(url: &str) -> Result<QueueShape, StoreError> {
        shape(&mut Server::new(url)?.connect_for_looking().await?).await
    }
}

async fn shape(connection: &mut PgConnection) -> Result<QueueShape, StoreError> {
    let bounds = queue::Cursors::default().bounds(connection).await?;
    let pending = queue::kept_count(connection).await?;
    let counts = sqlx::query(include_str!("queries/inspect_readings.sql"))
        .fetch_one(&mut *connection)
        .await?;
    let batches = sqlx::query(include_str!("queries/inspect_batches.sql"))
        .fetch_all(&mut *connection)
        .await?;
    let quarantine = sqlx::query(include_str!("queries/inspect_quarantine.sql"))
        .fetch_all(&mut *connection)
        .await?;
    let held_until = facts::recall(connection, Fact::HeldUntil).await?;
    Ok(QueueShape {
        pending,
        synchronized: cells::count(&counts, 0)?,
        oldest_pending_at: bounds.oldest_pending_at,
        highest_id: bounds.highest,
        batches: batches.iter().map(batch_group).collect::<Result<_, _>>()?,
        quarantine: quarantine
            .iter()
            .map(quarantine_group)
            .collect::<Result<_, _>>()?,
        held_until: held_until.as_deref().and_then(Timestamp::parse_zoned),
    })
}

fn batch_group(row: &PgRow) -> Result<BatchGroup, StoreError> {
    Ok(BatchGroup {
        state: cells::get(row, 0)?,
        batches: cells::count(row, 1)?,
        readings: cells::count(row, 2)?,
        oldest_claimed_at: cells::optional_time(row, 3)?,
        most_attempts: cells::count(row, 4)?,
        last_error: cells::get(row, 5)?,
    })
}

fn quarantine_group(row: &PgRow) -> Result<QuarantineGroup, StoreError> {
    Ok(QuarantineGroup {
        reason: cells::get(row, 0)?,
        status: cells::get(row, 1)?,
        readings: cells::count(row, 2)?,
        since: cells::optional_time(row, 3)?,
        until: cells::optional_time(row, 4)?,
        last_message: cells::get(row, 5)?,
    })
}
