//! A group of changes in one transaction. One that fails does not undo its neighbours; nobody hears of
//! success before the commit.

use async_trait::async_trait;

use super::{
    AFTER_FAILURE, Asker, DATABASE_PATIENCE, DatabaseWriterParts, Slot, operations::WriteOperation,
};
use crate::{
    domain::{reading::ReadingId, reading_ids::ReadingIds, store::StoreError},
    storage::StoreTransaction,
};

/// What a committed group changed, as far as the counting of the queue has to know.
#[derive(Debug, Default)]
pub struct Changes {
    /// Pending readings that left the queue.
    pub(super) removed: Vec<ReadingIds>,
    /// Readings came in.
    pub(super) inserted: bool,
    /// Manifests or quarantine entries changed.
    pub(super) bookkeeping: bool,
    /// Quarantine entries changed.
    pub(super) quarantine: bool,
    /// The highest id that was claimed.
    pub(super) claimed_through: Option<ReadingId>,
    /// Readings that the Client System stored.
    pub(super) delivered: u64,
    /// Readings in batches that were given up for a pass.
    pub(super) given_up: u64,
    /// Uploads that may double a batch on a server without de-duplication.
    pub(super) possibly_doubled: u64,
    /// Something was refused because the disk had no room for it.
    pub(super) lacks_room: bool,
    /// The database failed.
    pub(super) failure: Option<StoreError>,
}

impl Changes {
    fn absorb(&mut self, other: Self) {
        self.removed.extend(other.removed);
        self.inserted |= other.inserted;
        self.bookkeeping |= other.bookkeeping;
        self.quarantine |= other.quarantine;
        self.claimed_through = self.claimed_through.max(other.claimed_through);
        self.delivered += other.delivered;
        self.given_up += other.given_up;
        self.possibly_doubled += other.possibly_doubled;
    }
}

/// A change that waits, whatever its type.
#[async_trait(?Send)]
pub(super) trait Pending {
    /// Whether nobody waits for it any more.
    fn is_abandoned(&self) -> bool;
    /// Whether it has to be the first in its transaction.
    fn goes_first(&self) -> bool;
    /// About how many rows it writes.
    fn weight(&self) -> usize;
    /// Whether it brings something in that was not there, which a full disk has no room for.
    fn adds(&self) -> bool;
    /// What it writes, in a word.
    fn kind(&self) -> &'static str;
    /// Waits for what is under way elsewhere, before the transaction begins and others wait as well.
    async fn prepare(&self, parts: &DatabaseWriterParts);
    /// Carries it out within the transaction and keeps the reply.
    async fn apply(
        &mut self,
        transaction: &mut dyn StoreTransaction,
        parts: &DatabaseWriterParts,
    ) -> Result<Changes, StoreError>;
    /// Answers: with the reply kept, or with the failure of the whole group.
    fn answer(self: Box<Self>, group: Result<(), StoreError>);
}

/// A message with the place for its answer.
pub(super) struct Work<M: WriteOperation> {
    message: M,
    slot: Slot<M::Reply>,
    reply: Option<Result<M::Reply, StoreError>>,
}

impl<M: WriteOperation> Work<M> {
    pub(super) fn new(message: M, slot: Slot<M::Reply>) -> Self {
        Self {
            message,
            slot,
            reply: None,
        }
    }
}

#[async_trait(?Send)]
impl<M: WriteOperation> Pending for Work<M> {
    fn is_abandoned(&self) -> bool {
        matches!(&*self.slot.borrow(), Asker::Waiting(sender) if sender.is_closed())
    }

    fn goes_first(&self) -> bool {
        self.message.goes_first()
    }

    fn weight(&self) -> usize {
        self.message.weight()
    }

    fn adds(&self) -> bool {
        self.message.adds()
    }

    fn kind(&self) -> &'static str {
        self.message.kind()
    }

    async fn prepare(&self, parts: &DatabaseWriterParts) {
        self.message.prepare(parts).await;
    }

    async fn apply(
        &mut self,
        transaction: &mut dyn StoreTransaction,
        parts: &DatabaseWriterParts,
    ) -> Result<Changes, StoreError> {
        match self.message.apply(transaction, parts).await {
            Ok((reply, changes)) => {
                self.reply = Some(Ok(reply));
                Ok(changes)
            }
            Err(error) => {
                self.reply = Some(Err(error.clone()));
                Err(error)
            }
        }
    }

    fn answer(self: Box<Self>, group: Result<(), StoreError>) {
        let Self { slot, reply, .. } = *self;
        let passed_over = || Err(StoreError::Failed("the change was passed over".to_owned()));
        let answer = group.and_then(|()| reply.unwrap_or_else(passed_over));
        slot.borrow_mut().answer(answer);
    }
}

/// Writes a group in one transaction and answers everyone in it.
pub(super) async fn commit_group(
    parts: &DatabaseWriterParts,
    mut group: Vec<Box<dyn Pending>>,
) -> Changes {
    if parts.store.reserve_is_in_use() {
        group = refuse_additions(group, &no_room());
    }
    let mut result = write_in_time(parts, &mut group).await;
    let mut lacks_room = false;
    if let Err(full @ StoreError::Full(_)) = &result {
        lacks_room = true;
        group = refuse_additions(group, full);
        result = write_in_time(parts, &mut group).await;
        // Only for what empties the queue: anybody may take what is given free, long before there is something to write.
        if matches!(result, Err(StoreError::Full(_))) {
            parts.store.give_up_reserve().await;
            result = write_in_time(parts, &mut group).await;
        }
    }
    let (outcome, changes) = match result {
        Ok(changes) => (
            Ok(()),
            Changes {
                lacks_room,
                ..changes
            },
        ),
        Err(error) => (
            Err(error.clone()),
            Changes {
                failure: Some(error),
                ..Changes::default()
            },
        ),
    };
    for pending in group {
        pending.answer(outcome.clone());
    }
    if changes.failure.is_some() {
        parts.clock.sleep(AFTER_FAILURE).await;
    }
    changes
}

async fn write_in_time(
    parts: &DatabaseWriterParts,
    group: &mut [Box<dyn Pending>],
) -> Result<Changes, StoreError> {
    if group.is_empty() {
        return Ok(Changes::default());
    }
    let written = tokio::time::timeout(DATABASE_PATIENCE, write(parts, group)).await;
    let written = written.unwrap_or(Err(StoreError::Silent));
    if written.is_err() {
        parts.ahead.forget();
    }
    written
}

/// What the disk still holds is for emptying the queue.
fn refuse_additions(group: Vec<Box<dyn Pending>>, refusal: &StoreError) -> Vec<Box<dyn Pending>> {
    let (additions, others): (Vec<_>, Vec<_>) =
        group.into_iter().partition(|pending| pending.adds());
    for addition in additions {
        addition.answer(Err(refusal.clone()));
    }
    others
}

fn no_room() -> StoreError {
    StoreError::Full("what room is left is kept for uploading what it holds".to_owned())
}

/// All at once. Where one fails, all once more, with a savepoint before each: that has the engine keep every page as it was
/// before, which costs as much as writing it, and is hardly ever needed.
async fn write(
    parts: &DatabaseWriterParts,
    group: &mut [Box<dyn Pending>],
) -> Result<Changes, StoreError> {
    let is_alone = group.len() == 1;
    match write_once(parts, group, false).await {
        Err(Failed::One(_)) if !is_alone => {
            parts.ahead.forget();
            let again = write_once(parts, group, true).await;
            again.map_err(Failed::into_error)
        }
        // A lone refusal has nothing to protect; its failure is the group's only if the engine failed.
        Err(Failed::One(StoreError::KeyReused(_))) => Ok(Changes::default()),
        result => result.map_err(Failed::into_error),
    }
}

/// Why nothing was written.
enum Failed {
    /// One of the changes.
    One(StoreError),
    /// The transaction.
    All(StoreError),
}

impl Failed {
    fn into_error(self) -> StoreError {
        match self {
            Self::One(error) | Self::All(error) => error,
        }
    }
}

async fn write_once(
    parts: &DatabaseWriterParts,
    group: &mut [Box<dyn Pending>],
    with_savepoints: bool,
) -> Result<Changes, Failed> {
    for pending in group.iter() {
        pending.prepare(parts).await;
    }
    let waiting = parts.metrics.time_database_wait();
    let mut transaction = parts.store.begin().await.map_err(Failed::All)?;
    drop(waiting);
    let _transaction = parts.metrics.time_transaction(kind_of(group));
    let mut changes = Changes::default();
    for pending in group {
        if with_savepoints {
            transaction.set_savepoint().await.map_err(Failed::All)?;
        }
        match pending.apply(transaction.as_mut(), parts).await {
            Ok(own) => {
                parts.ahead.note_removed(&own.removed);
                changes.absorb(own);
            }
            Err(_) if with_savepoints => {
                let returned = transaction.return_to_savepoint().await;
                returned.map_err(Failed::All)?;
            }
            Err(error) => return Err(Failed::One(error)),
        }
        parts.failure_points.pass("database_writer.apply");
    }
    parts.failure_points.pass("database_writer.before_commit");
    let commit = parts.metrics.time_commit();
    transaction.commit().await.map_err(Failed::All)?;
    drop(commit);
    parts.failure_points.pass("database_writer.after_commit");
    Ok(changes)
}

/// What a group writes, in a word.
fn kind_of(group: &[Box<dyn Pending>]) -> &'static str {
    let mut kinds = group.iter().map(|pending| pending.kind());
    let first = kinds.next().unwrap_or("other");
    if kinds.all(|kind| kind == first) {
        first
    } else {
        "mixed"
    }
}
