//! Writes down once a minute what the service looks like, so that charts can tell how it came about.

use std::{cell::Cell, time::Duration};

use async_trait::async_trait;

use super::{DatabaseWriterParts, group::Changes, operations::WriteOperation};
use crate::{
    domain::{
        connectivity::ConnectivityStatus,
        history::{MINUTE_S, Sample, beginning_of, minute_of, seconds_offline},
        store::StoreError,
        timestamp::Timestamp,
    },
    messages::database_writer::WriteLastMinute,
    storage::StoreTransaction,
};

/// As many events as may change the link within a minute.
const EVENTS: usize = 50;

/// What is written down already; nothing at first.
#[derive(Debug, Default)]
pub struct Written {
    /// Uploaded readings that samples tell of.
    uploaded: Cell<u64>,
}

pub(super) struct Historian {
    parts: DatabaseWriterParts,
    due_at: Duration,
}

impl Historian {
    pub(super) fn new(parts: &DatabaseWriterParts) -> Self {
        let mut historian = Self {
            parts: parts.clone(),
            due_at: Duration::ZERO,
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
        if let Err(failure) = self.write().await {
            tracing::debug!(%failure, "a minute is missing in the history");
        }
        self.wait_for_next_minute();
    }

    fn wait_for_next_minute(&mut self) {
        let now = now(&self.parts);
        let next = beginning_of(minute_of(now) + 1);
        let wait = Duration::try_from_secs_f64(next.seconds_since(now)).unwrap_or_default();
        self.due_at = self.parts.clock.elapsed() + wait;
    }

    async fn write(&self) -> Result<(), StoreError> {
        let parts = &self.parts;
        // Timers may be a little early.
        let nearly = Timestamp(now(parts).0 + chrono::TimeDelta::seconds(MINUTE_S / 2));
        let (minute, uploaded) = (minute_of(nearly) - 1, uploaded(parts));
        let sample = sample(parts, minute, beginning_of(minute + 1), uploaded);
        // What room is left is for emptying the queue.
        let Some(sample) = sample.filter(|_| !parts.store.reserve_is_in_use()) else {
            return Ok(());
        };
        let mut transaction = parts.store.begin().await?;
        transaction.record_sample(&sample).await?;
        transaction.commit().await?;
        parts.history.uploaded.set(uploaded);
        Ok(())
    }
}

#[async_trait(?Send)]
impl WriteOperation for WriteLastMinute {
    type Reply = ();

    fn adds(&self) -> bool {
        true
    }

    async fn apply(
        &self,
        transaction: &mut dyn StoreTransaction,
        parts: &DatabaseWriterParts,
    ) -> Result<((), Changes), StoreError> {
        let now = now(parts);
        let sample = sample(parts, minute_of(now), now, uploaded(parts));
        // One that has hardly begun tells nothing, least of all that an outage is over.
        let has_begun = now.seconds_since(beginning_of(minute_of(now))) >= 1.0;
        if let Some(sample) = sample.filter(|sample| has_begun || sample.uploaded > 0) {
            transaction.record_sample(&sample).await?;
        }
        Ok(((), Changes::default()))
    }
}

fn now(parts: &DatabaseWriterParts) -> Timestamp {
    parts.clock.now().into()
}

fn uploaded(parts: &DatabaseWriterParts) -> u64 {
    parts.totals.read(|totals| totals.total_synced)
}

/// Of a minute until its end; none while nobody knows how long the queue is, or where its end is to be written that nobody
/// could read.
fn sample(
    parts: &DatabaseWriterParts,
    minute: i64,
    end: Timestamp,
    uploaded: u64,
) -> Option<Sample> {
    let queue = parts.published.read(|snapshot| {
        let is_known = snapshot.counted && snapshot.failing_since.is_none();
        is_known.then_some((snapshot.queue.pending, snapshot.queue.oldest_pending_at))
    });
    let (pending, oldest) = queue?;
    let is_down = parts.connectivity.read(ConnectivityStatus::is_known_down);
    let events = parts.events.recent(EVENTS);
    let age = |oldest: Timestamp| now(parts).whole_seconds_since(oldest);
    let (from, are_all) = (beginning_of(minute), events.len() < EVENTS);
    Some(Sample {
        at: from,
        pending,
        oldest_pending_age_s: oldest.filter(|_| pending > 0).map(age),
        uploaded: uploaded.saturating_sub(parts.history.uploaded.get()),
        offline_s: seconds_offline(&events, are_all, from, end, is_down),
    })
}
