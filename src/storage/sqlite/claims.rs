//! Finds the readings that are nobody's yet.

use std::ops::{DerefMut, RangeInclusive};

use async_trait::async_trait;
use sqlx::{Sqlite, SqliteConnection, Transaction, pool::PoolConnection, sqlite::SqliteRow};
use tokio::runtime::Handle;

use super::{cells, options, plain_rows, queue, transaction::lost};
use crate::{
    domain::{
        batch::ClaimOrder,
        reading::{RawReading, ReadingId},
        reading_ids::ReadingIds,
    },
    storage::{
        ForeignMark, StoreError, TakeRows, errors,
        holding::{HeldIds, PendingRows},
        workbench::at_workbench,
    },
};

/// Runs of ids that are worth a question each.
const MOST_RUNS: usize = 16;

/// Up to `limit` pending readings that no manifest holds, ascending by id. The transaction is gone afterwards where nobody
/// waited for the end.
pub(super) async fn claimable(
    transaction: &mut Option<Transaction<'static, Sqlite>>,
    order: ClaimOrder,
    limit: usize,
) -> Result<Vec<RawReading>, StoreError> {
    let held = held_ids(transaction.as_mut().ok_or_else(lost)?).await?;
    let after = match order {
        ClaimOrder::Oldest => ReadingId::MIN,
        ClaimOrder::After(id) => id,
    };
    held.free_rows(&mut Queue(transaction), after, limit).await
}

async fn held_ids(connection: &mut SqliteConnection) -> Result<HeldIds, StoreError> {
    let rows = sqlx::query(include_str!("queries/claimed_ids.sql"))
        .fetch_all(connection)
        .await?;
    let mut held = Vec::with_capacity(rows.len());
    for row in &rows {
        let ids = ReadingIds::decode(&cells::required_text(row, 0)?)
            .ok_or_else(|| errors::nonsense("upload_manifests.reading_ids"))?;
        held.push(ids);
    }
    Ok(HeldIds::new(&held))
}

/// How many of these batches, from the first one on, could be claimed: no manifest holds any of their readings, and all are
/// pending, which is not looked at where it is known. Those that lie scattered are not looked at either.
pub(super) async fn claimable_of(
    connection: &mut SqliteConnection,
    batches: &[&ReadingIds],
    are_pending: bool,
) -> Result<usize, StoreError> {
    let held = held_ids(connection).await?;
    let mut count = 0;
    for ids in batches {
        if held.has_any_of(ids) || !(are_pending || is_pending(connection, ids).await?) {
            break;
        }
        count += 1;
    }
    Ok(count)
}

async fn is_pending(
    connection: &mut SqliteConnection,
    ids: &ReadingIds,
) -> Result<bool, StoreError> {
    if ids.runs().len() > MOST_RUNS {
        return Ok(false);
    }
    let mut pending = 0;
    for run in ids.runs() {
        pending += queue::count_pending(connection, run.into()).await?;
    }
    Ok(pending == ids.len() as u64)
}

/// Ids that lie closer together are read with one question, and those between them passed over.
const GAP: i64 = 64;

/// The rows that have these ids, ascending; the write transaction keeps others away. It is gone afterwards where nobody waited for the end.
pub(super) async fn lock_rows(
    transaction: &mut Option<Transaction<'static, Sqlite>>,
    ids: &ReadingIds,
) -> Result<Vec<RawReading>, StoreError> {
    let mut rows = within(transaction, Question::Between(ids.stretches(GAP))).await?;
    rows.retain(|row| ids.run_containing(row.id).is_some());
    Ok(rows)
}

/// Changes whenever another connection than this one, or its predecessor, has committed something.
pub(super) async fn foreign_mark(
    connection: &mut SqliteConnection,
) -> Result<ForeignMark, StoreError> {
    let row = sqlx::query(include_str!("queries/data_version.sql"))
        .fetch_one(connection)
        .await?;
    Ok(ForeignMark {
        connection: options::writers_made(),
        version: cells::required_integer(&row, 0)?,
    })
}

/// Hands pending rows with ids above `after` to `take`, ascending and `limit` at a time, until it wants no more or there are
/// fewer. What it does with them is done on the thread that read them: to change threads costs as much as to read dozens.
pub(super) async fn pending_after(
    mut reader: PoolConnection<Sqlite>,
    mut after: ReadingId,
    limit: usize,
    mut take: TakeRows,
) -> Result<(), StoreError> {
    let runtime = Handle::current();
    at_workbench(move || {
        let read = plain_rows::read_directly(&mut reader, |direct| {
            loop {
                let rows = direct.pending_nearby(after, limit)?;
                let Some(last) = rows.last().filter(|_| rows.len() == limit) else {
                    break;
                };
                after = last.id;
                if !take(rows) {
                    break;
                }
            }
            Ok(())
        });
        runtime.block_on(read)
    })
    .await?
}

struct Queue<'a>(&'a mut Option<Transaction<'static, Sqlite>>);

#[async_trait]
impl PendingRows for Queue<'_> {
    async fn pending_after(
        &mut self,
        after: ReadingId,
        limit: usize,
    ) -> Result<Vec<RawReading>, StoreError> {
        within(self.0, Question::PendingAfter(after, limit)).await
    }
}

/// Which rows are read.
enum Question {
    /// So many pending ones with ids above this.
    PendingAfter(ReadingId, usize),
    /// All with ids in one of the stretches.
    Between(Vec<RangeInclusive<ReadingId>>),
}

/// Within the transaction, which is gone where that fails.
async fn within(
    transaction: &mut Option<Transaction<'static, Sqlite>>,
    question: Question,
) -> Result<Vec<RawReading>, StoreError> {
    let taken = transaction.take().ok_or_else(lost)?;
    let (taken, rows) = read_aside(taken, question).await?;
    *transaction = Some(taken);
    rows
}

/// On a thread that may block, for a disk may. The connection is gone where that fails.
async fn read_aside<C>(
    mut connection: C,
    question: Question,
) -> Result<(C, Result<Vec<RawReading>, StoreError>), StoreError>
where
    C: DerefMut<Target = SqliteConnection> + Send + 'static,
{
    let runtime = Handle::current();
    at_workbench(move || {
        let read = plain_rows::read_directly(&mut connection, |direct| match question {
            Question::PendingAfter(after, limit) => direct.pending(after, limit),
            Question::Between(stretches) => {
                let mut rows = Vec::new();
                for ids in stretches {
                    rows.append(&mut direct.between(ids)?);
                }
                Ok(rows)
            }
        });
        let rows = runtime.block_on(read);
        (connection, rows)
    })
    .await
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
        writer: None,
    })
}
