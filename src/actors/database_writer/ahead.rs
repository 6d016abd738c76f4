//! The batches that are likely to be claimed next: read and built while those before are on their way, so that a claim only
//! has to write them down.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    sync::{Arc, mpsc},
    time::Duration,
};

use tokio::task::JoinHandle;

use super::{DatabaseWriterParts, as_read::are_as_read};
use crate::{
    domain::{
        batch::ClaimOrder,
        compression::Compression,
        quarantine::QuarantineReason,
        reading::{RawReading, ReadingId, newest_by_meter},
        reading_ids::ReadingIds,
        rows_digest::RowsDigest,
        store::StoreError,
        timestamp::Timestamp,
    },
    messages::database_writer::ClaimBatches,
    storage::{ForeignMark, QuarantineEntry, StoreTransaction, SyncStore, workbench::at_workbench},
    upstream::body,
};

/// Rows that were made into a batch.
#[derive(Debug)]
pub(super) struct Built {
    /// Rows that were read.
    pub(super) rows: usize,
    /// The readings in the body.
    pub(super) reading_ids: ReadingIds,
    /// By what its rows are known again; none where that was not to be expected to be of use.
    pub(super) digest: Option<RowsDigest>,
    /// The transactions that wrote their rows, ascending; none where the engine does not tell.
    pub(super) writers: Option<Vec<u32>>,
    /// When each meter in it was last measured.
    pub(super) newest: BTreeMap<String, Timestamp>,
    /// The compressed body.
    pub(super) body: Arc<[u8]>,
    /// Rows that cannot be sent.
    pub(super) unreadable: Vec<QuarantineEntry>,
}

/// How to build a batch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manner {
    compression: Compression,
    /// Whether other programs write, so that its rows have to be known again.
    others_write: bool,
}

impl Manner {
    /// As it is called for now.
    pub(super) fn now(parts: &DatabaseWriterParts) -> Self {
        Self {
            compression: parts.compression(),
            others_write: parts.ahead.others_write(parts.clock.elapsed()),
        }
    }
}

/// Builds a batch on a thread that serves nobody else meanwhile.
pub(super) async fn build(rows: Vec<RawReading>, manner: Manner) -> Result<Built, StoreError> {
    at_workbench(move || build_here(rows, manner)).await
}

fn build_here(rows: Vec<RawReading>, manner: Manner) -> Built {
    let read = rows.len();
    let digest = manner.others_write.then(|| RowsDigest::of(&rows));
    let (mut reading_ids, mut readings) = (Vec::with_capacity(read), Vec::with_capacity(read));
    let mut writers = Some(Vec::new());
    let mut unreadable = Vec::new();
    for row in rows {
        let (reading_id, writer) = (row.id, row.writer);
        match row.parse() {
            Ok(reading) => {
                reading_ids.push(reading_id);
                note_writer(&mut writers, writer);
                readings.push(reading);
            }
            Err(reason) => unreadable.push(QuarantineEntry {
                reading_id,
                reason: QuarantineReason::Unreadable,
                status: None,
                message: reason.to_string(),
                key: None,
            }),
        }
    }
    Built {
        rows: read,
        digest,
        reading_ids: reading_ids.into_iter().collect(),
        writers: writers.map(sorted),
        newest: newest_by_meter(&readings)
            .into_iter()
            .map(|(meter, time)| (meter.to_owned(), time))
            .collect(),
        body: body::compress(&body::encode(&readings), manner.compression).into(),
        unreadable,
    }
}

/// Neighbours mostly have the same.
fn note_writer(writers: &mut Option<Vec<u32>>, writer: Option<u32>) {
    match (writers.as_mut(), writer) {
        (Some(writers), Some(writer)) if writers.last() != Some(&writer) => writers.push(writer),
        (Some(_), None) => *writers = None,
        _ => {}
    }
}

fn sorted(mut writers: Vec<u32>) -> Vec<u32> {
    writers.sort_unstable();
    writers.dedup();
    writers
}

/// Who has written so long ago is likely to write again.
const LATELY: Duration = Duration::from_secs(5);

/// The batches that are likely to be claimed next; none at first.
#[derive(Debug, Default)]
pub struct Ahead {
    drafts: RefCell<Option<Drafts>>,
    /// The mark of the last claim.
    mark: Cell<Option<ForeignMark>>,
    /// When they were last seen to.
    disturbed_at: Cell<Option<Duration>>,
}

#[derive(Debug)]
struct Drafts {
    limit: usize,
    /// Their ids are higher.
    after: ReadingId,
    /// Something with such ids was taken out of the queue since.
    is_touched: bool,
    /// Nothing that was read has changed for as long as this has not.
    mark: ForeignMark,
    work: Work,
}

#[derive(Debug)]
enum Work {
    UnderWay(JoinHandle<Vec<Built>>),
    Done(Vec<Built>),
}

impl Work {
    async fn done(self) -> Vec<Built> {
        match self {
            // What went wrong ahead of time is met again by the claim itself.
            Self::UnderWay(work) => work.await.unwrap_or_default(),
            Self::Done(built) => built,
        }
    }
}

impl Ahead {
    /// Whether other programs were seen to commit something lately, and may want to go on.
    pub(super) fn others_write(&self, now: Duration) -> bool {
        let seen = self.disturbed_at.get();
        seen.is_some_and(|at| now.saturating_sub(at) < LATELY)
    }

    /// Other programs were seen to commit something.
    pub(super) fn note_others(&self, now: Duration) {
        self.disturbed_at.set(Some(now));
    }

    fn note(&self, mark: ForeignMark, now: Duration) {
        let before = self.mark.replace(Some(mark));
        if before.is_some_and(|before| before != mark) {
            self.note_others(now);
        }
    }

    /// These were taken out of the queue by this instance, which moves no mark.
    pub(super) fn note_removed(&self, removed: &[ReadingIds]) {
        if let Some(drafts) = self.drafts.borrow_mut().as_mut() {
            let after = Some(drafts.after);
            drafts.is_touched |= removed.iter().any(|ids| ids.last() > after);
        }
    }

    /// Waits until what is being built is there. Within a transaction others would wait as well.
    pub(super) async fn ready(&self) {
        let Some(drafts) = self.drafts.take() else {
            return;
        };
        let work = Work::Done(drafts.work.done().await);
        self.drafts.replace(Some(Drafts { work, ..drafts }));
    }

    /// What was built ahead followed a claim that did not come to be.
    pub(super) fn forget(&self) {
        self.drafts.take();
    }

    /// Begins to build batches of the pending readings behind `after`, as many as the claim was for. The mark is that of
    /// the transaction under way.
    pub(super) fn begin(
        &self,
        parts: &DatabaseWriterParts,
        claim: &ClaimBatches,
        after: ReadingId,
        mark: ForeignMark,
    ) {
        let (limit, most) = (claim.limit, claim.most);
        let work = build_on(parts.store.clone(), Manner::now(parts), after, limit, most);
        self.drafts.replace(Some(Drafts {
            limit,
            after,
            is_touched: false,
            mark,
            work: Work::UnderWay(actix::spawn(work)),
        }));
    }

    /// The batches that were built for such a claim, as far as they are still what it would find.
    pub(super) async fn take(
        &self,
        transaction: &mut dyn StoreTransaction,
        claim: &ClaimBatches,
        mark: ForeignMark,
        now: Duration,
    ) -> Result<Vec<Built>, StoreError> {
        self.note(mark, now);
        let drafts = self.drafts.take();
        let Some(drafts) = drafts.filter(|drafts| drafts.limit == claim.limit) else {
            return Ok(Vec::new());
        };
        let has_changed = drafts.mark != mark;
        let is_pending = !drafts.is_touched && !has_changed;
        let mut built = drafts.work.done().await;
        built.truncate(claim.most);
        if has_changed {
            let left = as_they_lie_there(&built, transaction).await?;
            built.truncate(left);
        }
        if built.is_empty() {
            return Ok(built);
        }
        let ids: Vec<_> = built.iter().map(|built| &built.reading_ids).collect();
        let left = transaction.claimable_of(&ids, is_pending).await?;
        built.truncate(left);
        Ok(built)
    }
}

/// Rows that are read again in one transaction, at most: other programs wait for its end.
const MOST_COMPARED: usize = 4_000;

/// How many of the batches, from the first one on, are of the rows that lie there now, and of the first that nobody has claimed:
/// other programs have committed something since they were read, most likely new readings.
async fn as_they_lie_there(
    built: &[Built],
    transaction: &mut dyn StoreTransaction,
) -> Result<usize, StoreError> {
    let oldest = transaction.claimable(ClaimOrder::Oldest, 1).await?;
    let oldest = oldest.first().map(|row| row.id);
    if oldest.is_none() || built.first().and_then(|first| first.reading_ids.first()) != oldest {
        return Ok(0);
    }
    let (mut count, mut compared) = (0, 0);
    for built in built {
        compared += built.rows;
        let Some(digest) = built.digest else {
            break;
        };
        if count > 0 && compared > MOST_COMPARED {
            break;
        }
        if !are_as_read(transaction, &built.reading_ids, digest).await? {
            break;
        }
        count += 1;
    }
    Ok(count)
}

/// Full batches of readable rows; ends where there is no such.
async fn build_on(
    store: Arc<dyn SyncStore>,
    manner: Manner,
    after: ReadingId,
    limit: usize,
    most: usize,
) -> Vec<Built> {
    let (tell, told) = mpsc::channel();
    let mut wanted = most;
    let take = move |rows| {
        let built = build_here(rows, manner);
        wanted -= 1;
        let is_readable = built.unreadable.is_empty();
        // Whoever asked may have gone.
        is_readable && tell.send(built).is_ok() && wanted > 0
    };
    // What went wrong is met again by the claim itself.
    let _ = store.read_ahead(after, limit, Box::new(take)).await;
    told.try_iter().collect()
}
