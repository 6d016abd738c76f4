//! How many readings wait. An engine that keeps that number itself is believed; elsewhere what was counted once is
//! only counted again when another program may have changed it.

use std::{sync::Arc, time::Duration};

use super::census_taker::EVERY;
use crate::{
    domain::{
        census::{Census, KnownStretch},
        reading::ReadingId,
        reading_ids::ReadingIds,
        store::StoreError,
    },
    storage::{ForeignMark, QueueBounds, QueueLength, SyncStore},
};

/// Stretches of ids, of 50,000 readings at the most, that are counted with one look.
const STRETCHES_AT_A_TIME: usize = 8;
/// How long a round of verification takes, where another program's change may have been a mere addition at the end of
/// the queue, as nearly all are. With the time until the next look this is within the 5 s of the queue's size.
const ROUND: Duration = Duration::from_secs(4);
/// Stretches that are verified per second in such a round at the most: in a queue of more than 6.4 million readings it
/// takes longer.
const STRETCHES_PER_SECOND: f64 = 32.0;
/// Stretches that are verified with one look when another program has certainly changed something else.
const STRETCHES_IN_A_HURRY: usize = 128;

pub(super) struct QueueCount {
    store: Arc<dyn SyncStore>,
    /// What the engine last said, less what we took out since; none where readings are counted here.
    kept: Option<u64>,
    /// The highest id that was seen.
    highest: Option<ReadingId>,
    census: Census,
    /// Changes with everybody's commits, and with those of others alone.
    version: Option<i64>,
    foreign: Option<ForeignMark>,
    /// When the present round of verification began, when it last went on, and when what is in doubt was last looked at.
    round_at: Duration,
    verified_at: Duration,
    doubted_at: Duration,
    /// Another program changed something other than by appending, and no round that began since has ended.
    hurry: bool,
    /// We committed something since the last look.
    own_commits: bool,
    /// Something may have changed behind what was counted since the present round of verification began.
    verify_again: bool,
    has_looked: bool,
    /// What the last look found, and the version at which nothing was left to do.
    at_rest: Option<(i64, QueueBounds)>,
}

/// What a look at the queue brought.
pub(super) struct Look {
    pub(super) bounds: QueueBounds,
    /// Everything is counted.
    pub(super) is_complete: bool,
    /// Nothing has changed since the look before.
    pub(super) is_same: bool,
    /// Readings came in since the look before.
    pub(super) has_fresh_readings: bool,
    /// Another program has committed something since the look before.
    pub(super) is_foreign: bool,
}

impl QueueCount {
    pub(super) fn new(store: Arc<dyn SyncStore>) -> Self {
        Self {
            store,
            kept: None,
            highest: None,
            census: Census::default(),
            version: None,
            foreign: None,
            round_at: Duration::ZERO,
            verified_at: Duration::ZERO,
            doubted_at: Duration::ZERO,
            hurry: false,
            own_commits: false,
            verify_again: false,
            has_looked: false,
            at_rest: None,
        }
    }

    pub(super) fn total(&self) -> u64 {
        self.kept.unwrap_or_else(|| self.census.total())
    }

    /// Readings left the queue by our own doing.
    pub(super) fn remove(&mut self, ids: &ReadingIds) {
        match &mut self.kept {
            Some(kept) => *kept = kept.saturating_sub(ids.len() as u64),
            None => self.census.remove(ids),
        }
    }

    pub(super) fn note_own_commit(&mut self) {
        self.own_commits = true;
    }

    /// Whether readings up to `id` exist that were not counted yet.
    pub(super) fn is_behind(&self, id: ReadingId) -> bool {
        self.kept.is_none() && id > self.census.counted_through()
    }

    /// Whether other instances may work on the same queue.
    pub(super) fn is_shared(&self) -> bool {
        self.kept.is_some()
    }

    /// Brings the number up to date, as far as one look may go.
    pub(super) async fn look(&mut self, now: Duration) -> Result<Look, StoreError> {
        let before = self.total();
        // Before anything else, so that whatever is committed meanwhile shows in the next one.
        let length = self.store.length().await?;
        if let Some(bounds) = self.bounds_at_rest(length) {
            return Ok(Look {
                bounds,
                is_complete: true,
                is_same: true,
                has_fresh_readings: false,
                is_foreign: false,
            });
        }
        let bounds = self.store.queue_bounds().await?;
        let highest = bounds.highest;
        let (is_complete, is_foreign) = match length {
            QueueLength::Kept(kept) => {
                self.kept = Some(kept);
                (true, false)
            }
            QueueLength::ToBeCounted { version } => self.count(version, highest, now).await?,
        };
        // Other instances may take out more than came in.
        let has_risen = self.kept.is_some() && highest > self.highest;
        let has_fresh_readings = self.has_looked && (self.total() > before || has_risen);
        self.highest = self.highest.max(highest);
        self.has_looked = true;
        self.at_rest = self.version_at_rest(is_complete).zip(Some(bounds));
        Ok(Look {
            bounds,
            is_complete,
            is_same: false,
            has_fresh_readings,
            is_foreign,
        })
    }

    /// What was found, where nobody has committed anything since, and nothing is left to do.
    fn bounds_at_rest(&self, length: QueueLength) -> Option<QueueBounds> {
        let (at_rest, bounds) = self.at_rest.filter(|_| !self.own_commits)?;
        (length == QueueLength::ToBeCounted { version: at_rest }).then_some(bounds)
    }

    fn version_at_rest(&self, is_complete: bool) -> Option<i64> {
        let is_at_rest = is_complete
            && !self.verify_again
            && self.census.is_verified()
            && !self.census.is_doubted();
        self.version.filter(|_| is_at_rest)
    }

    /// Whether everything is counted, and whether somebody else has committed something since the last look.
    async fn count(
        &mut self,
        version: i64,
        highest: Option<ReadingId>,
        now: Duration,
    ) -> Result<(bool, bool), StoreError> {
        let is_foreign = self.is_foreign(version).await?;
        self.verify_again |= is_foreign;
        let before = self.census.counted_through();
        let is_complete = self.count_new(highest).await?;
        let appended = self.census.counted_through() > before;
        self.own_commits = false;
        self.hurry |= is_foreign && !appended;
        let verified = self.verify(now).await;
        // Where that failed nobody knows which stretch it was.
        self.verify_again |= verified.is_err();
        verified?;
        self.version = Some(version);
        Ok((is_complete, is_foreign))
    }

    /// Whether somebody else has committed something since the last look, behind whose back something was counted.
    async fn is_foreign(&mut self, version: i64) -> Result<bool, StoreError> {
        if self.version == Some(version) {
            return Ok(false);
        }
        let mark = self.store.foreign_mark().await?;
        let before = std::mem::replace(&mut self.foreign, mark);
        // Where the engine cannot tell, it may have been anybody.
        let is_foreign = mark.is_none() || mark != before;
        Ok(is_foreign && self.census.stretches() > 0)
    }

    /// Counts what is not counted yet, as far as one look may go; tells whether that was all.
    async fn count_new(&mut self, highest: Option<ReadingId>) -> Result<bool, StoreError> {
        let Some(highest) = highest else {
            return Ok(true);
        };
        for _ in 0..STRETCHES_AT_A_TIME {
            let next = self
                .store
                .next_pending(self.census.counted_through())
                .await?;
            let Some(stretch) = next.and_then(|next| self.census.uncounted(next, highest)) else {
                return Ok(true);
            };
            let count = self.store.count_pending(stretch).await?;
            self.census.note(stretch, count);
        }
        Ok(false)
    }

    /// Another program may have deleted or marked what was counted before, or inserted behind it: then all known stretches
    /// are looked at again, some with every look. A round that is under way is finished first, or the last stretches would
    /// never have their turn.
    async fn verify(&mut self, now: Duration) -> Result<(), StoreError> {
        self.verify_doubted(now).await?;
        let since = now.saturating_sub(self.verified_at);
        self.verified_at = now;
        let mut verified = 0;
        loop {
            let is_due = now >= self.round_at + EVERY && (self.census.is_verified() || self.hurry);
            if self.verify_again && is_due {
                self.verify_again = false;
                self.round_at = now;
                self.census.verify_from_start();
            }
            let most = if self.hurry {
                STRETCHES_IN_A_HURRY
            } else {
                stretches_due(self.census.stretches(), since)
            };
            let at_once = STRETCHES_AT_A_TIME.min(most.saturating_sub(verified));
            let known = self.census.next_to_verify(at_once);
            verified += known.len();
            let Some(joined) = KnownStretch::joined(&known) else {
                break;
            };
            // A question costs as much as to look through thousands of readings.
            if !self.store.has_pending(joined).await? {
                for stretch in known {
                    self.count_if_changed(stretch).await?;
                }
                // Whatever it was, it may have gone on in stretches that had their turn before.
                self.hurry = true;
                self.verify_again = true;
            }
        }
        self.hurry &= self.verify_again || !self.census.is_verified();
        Ok(())
    }

    /// What we took out of the queue ourselves is looked at again on the spot, however long the rest of the queue is.
    async fn verify_doubted(&mut self, now: Duration) -> Result<(), StoreError> {
        if now < self.doubted_at + EVERY {
            return Ok(());
        }
        self.doubted_at = now;
        for _ in 0..STRETCHES_AT_A_TIME {
            let Some(known) = self.census.next_doubted() else {
                break;
            };
            // Where several stretches were only found right together, another one may be as wrong the other way round.
            self.verify_again |= self.count_if_changed(known).await?;
        }
        Ok(())
    }

    /// Counts a stretch anew that does not hold as many as it did; tells whether that was so.
    async fn count_if_changed(&mut self, known: KnownStretch) -> Result<bool, StoreError> {
        let is_changed = !self.store.has_pending(known).await?;
        if is_changed {
            let count = self.store.count_pending(known.stretch).await?;
            self.census.note(known.stretch, count);
        }
        Ok(is_changed)
    }
}

/// Stretches whose turn it is so long after the last look, so that a round takes as long as it should, or longer where the
/// queue is very long.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "small, never negative numbers"
)]
fn stretches_due(known: usize, since: Duration) -> usize {
    let per_second = (known as f64 / ROUND.as_secs_f64()).min(STRETCHES_PER_SECOND);
    let due = (per_second * since.as_secs_f64()).ceil() as usize;
    due.min(STRETCHES_IN_A_HURRY)
}
