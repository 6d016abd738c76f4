//! A look at the queue from outside, beside whatever service has it: reads only, and only what indexes hold.

use std::path::Path;

use sqlx::{ConnectOptions, Connection, SqliteConnection, sqlite::SqliteRow};

use super::{SqliteStore, cells, facts, mending, options, queue, require_file};
use crate::{
    domain::{
        queue_shape::{BatchGroup, QuarantineGroup, QueueShape},
        timestamp::Timestamp,
    },
    storage::{Fact, StoreError},
};

impl SqliteStore {
    /// What the queue in the file `path` looks like; it has to be in the present shape. Changes nothing.
    ///
    /// # Errors
    /// Where there is no such file, and where it cannot be read.
    pub async fn queue_shape(path: &Path) -> Result<QueueShape, StoreError> {
        require_file(path)?;
        mending::require_readable_log(path)?;
        let mut connection = options::reader_options(path).connect().await?;
        let shape = shape(&mut connection).await;
        connection.close().await?;
        shape
    }
}

async fn shape(connection: &mut SqliteConnection) -> Result<QueueShape, StoreError> {
    let bounds = queue::bounds(connection).await?;
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
        pending: cells::required_count(&counts, 0)?,
        synchronized: cells::required_count(&counts, 1)?,
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

fn batch_group(row: &SqliteRow) -> Result<BatchGroup, StoreError> {
    Ok(BatchGroup {
        state: cells::required_text(row, 0)?,
        batches: cells::required_count(row, 1)?,
        readings: cells::required_count(row, 2)?,
        oldest_claimed_at: cells::time(row, 3)?,
        most_attempts: cells::required_count(row, 4)?,
        last_error: cells::text(row, 5)?,
    })
}

fn quarantine_group(row: &SqliteRow) -> Result<QuarantineGroup, StoreError> {
    Ok(QuarantineGroup {
        reason: cells::required_text(row, 0)?,
        status: cells::integer(row, 1)?,
        readings: cells::required_count(row, 2)?,
        since: cells::time(row, 3)?,
        until: cells::time(row, 4)?,
        last_message: cells::text(row, 5)?,
    })
}
