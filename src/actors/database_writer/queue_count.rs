//! How many readings wait. An engine that keeps that number itself is believed; elsewhere what was counted once is
//! only counted again when another program may have changed it.

use std::{sync::Arc, time::Duration};

use super::census_taker::EVERY;
use crate::{
    domain::{census::Census, reading::ReadingId, reading_ids::ReadingIds, store::StoreError},
    storage::{QueueBounds, QueueLength, SyncStore},
};

/// Stretches of ids, of 50,000 readings at the most, that are counted with one look.
const STRETCHES_AT_A_TIME: usize = 8;
/// The same when another program has changed something other than by appending, which the size is to show soon.
const STRETCHES_AFTER_FOREIGN_CHANGE: usize = 128;

pub(super) struct QueueCount {
    store: Arc<dyn SyncStore>,
    /// What the engine last said, less what we took out since; none where readings are counted here.
    kept: Option<u64>,
    /// The highest id that was seen.
    highest: Option<ReadingId>,
    census: Census,
    foreign_version: Option<i64>,
    /// When known stretches are next counted again.
    verify_at: Duration,
    /// Another program changed something other than by appending since the present round began.
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
}

impl QueueCount {
    pub(super) fn new(store: Arc<dyn SyncStore>) -> Self {
        Self {
            store,
            kept: None,
            highest: None,
            census: Census::default(),
            foreign_version: None,
            verify_at: Duration::ZERO,
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
            });
        }
        let bounds = self.store.queue_bounds().await?;
        let highest = bounds.highest;
        let is_complete = match length {
            QueueLength::Kept(kept) => {
                self.kept = Some(kept);
                true
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
        })
    }

    /// What was found, where nobody has committed anything since, and nothing is left to do.
    fn bounds_at_rest(&self, length: QueueLength) -> Option<QueueBounds> {
        let (at_rest, bounds) = self.at_rest.filter(|_| !self.own_commits)?;
        (length == QueueLength::ToBeCounted { version: at_rest }).then_some(bounds)
    }

    fn version_at_rest(&self, is_complete: bool) -> Option<i64> {
        let is_at_rest = is_complete && !self.verify_again && self.census.is_verified();
        self.foreign_version.filter(|_| is_at_rest)
    }

    async fn count(
        &mut self,
        version: i64,
        highest: Option<ReadingId>,
        now: Duration,
    ) -> Result<bool, StoreError> {
        let changed = self.foreign_version != Some(version);
        let before = self.census.counted_through();
        let is_complete = self.count_new(highest).await?;
        let appended = self.census.counted_through() > before;
        let own_commits = std::mem::take(&mut self.own_commits);
        if changed && self.foreign_version.is_some() {
            self.verify_again = true;
            self.hurry |= !appended && !own_commits;
        }
        self.verify_if_due(now).await?;
        self.foreign_version = Some(version);
        Ok(is_complete)
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

    /// Another program may have deleted or marked what was counted before, or inserted behind it: then all known
    /// stretches are counted again, a few with every look. A round that is under way is finished first, or the
    /// last stretches would never have their turn.
    async fn verify_if_due(&mut self, now: Duration) -> Result<(), StoreError> {
        if now < self.verify_at && !self.hurry {
            return Ok(());
        }
        self.verify_at = now + EVERY;
        if self.verify_again && (self.census.is_verified() || self.hurry) {
            self.verify_again = false;
            self.census.verify_from_start();
        }
        let most = if self.hurry {
            STRETCHES_AFTER_FOREIGN_CHANGE
        } else {
            STRETCHES_AT_A_TIME
        };
        for _ in 0..most {
            let Some(stretch) = self.census.next_stretch_to_verify() else {
                break;
            };
            let count = self.store.count_pending(stretch).await?;
            self.census.note(stretch, count);
        }
        self.hurry &= !self.census.is_verified();
        Ok(())
    }
}
