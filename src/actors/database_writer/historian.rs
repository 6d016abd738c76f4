//! Writes down once a minute what the service looks like, so that charts can tell how it came about.

use std::time::Duration;

use super::DatabaseWriterParts;
use crate::domain::{
    connectivity::ConnectivityStatus,
    history::{MINUTE_S, Sample, beginning_of, minute_of, seconds_offline},
    store::StoreError,
    timestamp::Timestamp,
};

/// As many events as may change the link within a minute.
const EVENTS: usize = 50;

pub(super) struct Historian {
    parts: DatabaseWriterParts,
    due_at: Duration,
    /// Uploaded readings that samples tell of.
    told: u64,
}

impl Historian {
    pub(super) fn new(parts: &DatabaseWriterParts) -> Self {
        let mut historian = Self {
            parts: parts.clone(),
            due_at: Duration::ZERO,
            told: parts.totals.read(|totals| totals.total_synced),
        };
        historian.wait_for_next_minute();
        historian
    }

    pub(super) fn until_due(&self) -> Duration {
        self.due_at.saturating_sub(self.parts.clock.elapsed())
    }

    /// At the end of a minute: that one is written down. Where it cannot be, it is not worth another try.
    pub(super) async fn write_if_due(&mut self) {
        if !self.until_due().is_zero() {
            return;
        }
        let uploaded = self.parts.totals.read(|totals| totals.total_synced);
        if let Some(sample) = self.sample(uploaded) {
            match self.write(&sample).await {
                Ok(()) => self.told = uploaded,
                Err(failure) => tracing::debug!(%failure, "a minute is missing in the history"),
            }
        }
        self.wait_for_next_minute();
    }

    fn wait_for_next_minute(&mut self) {
        let now: Timestamp = self.parts.clock.now().into();
        let next = beginning_of(minute_of(now) + 1);
        let wait = Duration::try_from_secs_f64(next.seconds_since(now)).unwrap_or_default();
        self.due_at = self.parts.clock.elapsed() + wait;
    }

    /// Of the minute that has just ended; none while nobody knows how long the queue is, or where its end is to be written
    /// that nobody could read.
    fn sample(&self, uploaded: u64) -> Option<Sample> {
        let now: Timestamp = self.parts.clock.now().into();
        let queue = self.parts.published.read(|snapshot| {
            let is_known = snapshot.counted && snapshot.failing_since.is_none();
            is_known.then_some((snapshot.queue.pending, snapshot.queue.oldest_pending_at))
        });
        let (pending, oldest) = queue?;
        // Timers may be a little early.
        let nearly = Timestamp(now.0 + chrono::TimeDelta::seconds(MINUTE_S / 2));
        let minute = minute_of(nearly) - 1;
        let is_down = self
            .parts
            .connectivity
            .read(ConnectivityStatus::is_known_down);
        let age = |oldest: Timestamp| now.whole_seconds_since(oldest);
        Some(Sample {
            at: beginning_of(minute),
            pending,
            oldest_pending_age_s: oldest.filter(|_| pending > 0).map(age),
            uploaded: uploaded.saturating_sub(self.told),
            offline_s: seconds_offline(
                &self.parts.events.recent(EVENTS),
                beginning_of(minute),
                beginning_of(minute + 1),
                is_down,
            ),
        })
    }

    async fn write(&self, sample: &Sample) -> Result<(), StoreError> {
        if self.parts.store.reserve_is_in_use() {
            // What room is left is for emptying the queue.
            return Ok(());
        }
        let mut transaction = self.parts.store.begin().await?;
        transaction.record_sample(sample).await?;
        transaction.commit().await
    }
}
