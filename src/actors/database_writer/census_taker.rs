//! Keeps the published picture of the queue true at little cost, and notices what other programs insert.

use std::{collections::VecDeque, time::Duration};

use super::{DatabaseWriterParts, group::Changes};
use crate::{
    domain::{
        census::{Census, Stretch},
        status::QueueStatus,
        store::StoreError,
    },
    messages::sync_manager::FreshReadings,
    supervision::ask::tell,
};

/// How often other programs' changes are looked for. The queue's size is to be exact within 5 s.
const EVERY: Duration = Duration::from_secs(2);
/// Stretches that are counted again at one look: two looks reach a queue of 400,000 readings.
const VERIFIED_AT_ONCE: usize = 4;
/// Over how long the drain rate is averaged.
const RATE_WINDOW: Duration = Duration::from_secs(60);
/// Over how long the growth of the disk's use is judged, and how often it is looked at.
const DISK_WINDOW: Duration = Duration::from_secs(3600);
const DISK_EVERY: Duration = Duration::from_secs(60);

pub(super) struct CensusTaker {
    parts: DatabaseWriterParts,
    census: Census,
    foreign_version: Option<i64>,
    /// Stretches that had no turn since another program's last change.
    to_verify: usize,
    taken_at: Option<Duration>,
    bookkeeping_changed: bool,
    /// Readings that left the queue, by time.
    departures: VecDeque<(Duration, u64)>,
    /// Free bytes, by time.
    disk: VecDeque<(Duration, u64)>,
    possibly_doubled: u64,
}

impl CensusTaker {
    pub(super) fn new(parts: DatabaseWriterParts) -> Self {
        let possibly_doubled = parts
            .published
            .read(|snapshot| snapshot.queue.possibly_doubled_uploads);
        Self {
            parts,
            census: Census::default(),
            foreign_version: None,
            to_verify: 0,
            taken_at: None,
            bookkeeping_changed: true,
            departures: VecDeque::new(),
            disk: VecDeque::new(),
            possibly_doubled,
        }
    }

    pub(super) fn until_due(&self) -> Duration {
        match self.taken_at {
            None => Duration::ZERO,
            Some(taken_at) => (taken_at + EVERY).saturating_sub(self.parts.clock.elapsed()),
        }
    }

    /// Takes in what a group of our own changed.
    pub(super) async fn note(&mut self, changes: &Changes) {
        let now = self.parts.clock.elapsed();
        for ids in &changes.removed {
            self.census.remove(ids);
            self.departures.push_back((now, ids.len() as u64));
        }
        self.possibly_doubled += changes.possibly_doubled;
        self.bookkeeping_changed |= changes.bookkeeping;
        if let Some(failure) = &changes.failure {
            return self.publish_failure(failure);
        }
        self.parts
            .published
            .update(|snapshot| snapshot.commits += 1);
        if changes.inserted || self.until_due().is_zero() {
            self.take().await;
        } else {
            self.publish_counts();
        }
    }

    pub(super) async fn take_if_due(&mut self) {
        if self.until_due().is_zero() {
            self.take().await;
        }
    }

    async fn take(&mut self) {
        self.taken_at = Some(self.parts.clock.elapsed());
        let before = self.census.total();
        let first = self.foreign_version.is_none();
        match self.look().await {
            Ok(()) => {
                if !first && self.census.total() > before {
                    // Should this be lost, the schedule or the next reading starts a pass.
                    tell(&self.parts.fresh_readings, FreshReadings);
                }
            }
            Err(error) => self.publish_failure(&error),
        }
    }

    async fn look(&mut self) -> Result<(), StoreError> {
        let store = self.parts.store.clone();
        let version = store.foreign_version().await?;
        let changed = self.foreign_version != Some(version);
        let bounds = store.queue_bounds().await?;
        if let Some((lowest, highest)) = bounds.ids {
            while let Some(stretch) = self.census.uncounted(lowest, highest) {
                let count = store.count_pending(stretch).await?;
                self.census.note(stretch, count);
            }
        }
        if changed && self.foreign_version.is_some() {
            self.to_verify = self.census.stretches();
        }
        self.verify_some().await?;
        self.foreign_version = Some(version);
        self.note_disk(store.disk_free_bytes().await);
        if std::mem::take(&mut self.bookkeeping_changed) {
            self.publish_bookkeeping().await?;
        }
        let last_collection = store.last_collection().await?;
        self.parts.published.update(|snapshot| {
            snapshot.counted = true;
            snapshot.failing_since = None;
            snapshot.queue.oldest_pending_at = bounds.oldest_pending_at;
            snapshot.last_collection = last_collection;
        });
        self.publish_counts();
        Ok(())
    }

    /// Another program may have changed what was counted, anywhere: every known stretch is counted again, a few
    /// at each look, until all had their turn since the last change.
    async fn verify_some(&mut self) -> Result<(), StoreError> {
        for _ in 0..self.to_verify.min(VERIFIED_AT_ONCE) {
            let Some(stretch) = self.next_stretch() else {
                self.to_verify = 0;
                break;
            };
            let count = self.parts.store.count_pending(stretch).await?;
            self.census.note(stretch, count);
            self.to_verify -= 1;
        }
        Ok(())
    }

    fn next_stretch(&mut self) -> Option<Stretch> {
        self.census.next_stretch_to_verify().or_else(|| {
            self.census.verify_from_start();
            self.census.next_stretch_to_verify()
        })
    }

    async fn publish_bookkeeping(&self) -> Result<(), StoreError> {
        use crate::domain::batch::ManifestState;
        let manifests = self.parts.store.manifests().await?;
        let in_flight = manifests
            .iter()
            .map(|manifest| manifest.reading_ids.len() as u64)
            .sum();
        let parked = manifests
            .iter()
            .filter(|manifest| manifest.state == ManifestState::Parked)
            .count() as u64;
        let quarantined = self.parts.store.quarantined_count().await?;
        self.parts.published.update(|snapshot| {
            snapshot.queue.in_flight = in_flight;
            snapshot.queue.parked_batches = parked;
            snapshot.queue.quarantined = quarantined;
        });
        Ok(())
    }

    fn publish_counts(&mut self) {
        let rate = self.drain_rate();
        let pending = self.census.total();
        let hours_until_full = self.hours_until_full();
        let disk_free_bytes = self.disk.back().map(|(_, free)| *free);
        let possibly_doubled = self.possibly_doubled;
        self.parts.published.update(|snapshot| {
            let queue = &mut snapshot.queue;
            queue.pending = pending;
            queue.drain_rate_per_s = rate;
            queue.eta_s = eta(queue);
            queue.disk_free_bytes = disk_free_bytes;
            queue.hours_until_full = hours_until_full;
            queue.possibly_doubled_uploads = possibly_doubled;
            if pending == 0 {
                queue.oldest_pending_at = None;
            }
        });
    }

    fn publish_failure(&self, failure: &StoreError) {
        tracing::error!(%failure, "the sync database cannot be used; everything waits for it");
        let now = self.parts.clock.now().into();
        self.parts.published.update(|snapshot| {
            let since = snapshot
                .failing_since
                .take()
                .map_or(now, |(_, since)| since);
            snapshot.failing_since = Some((failure.to_string(), since));
        });
    }

    fn drain_rate(&mut self) -> f64 {
        let now = self.parts.clock.elapsed();
        while self
            .departures
            .front()
            .is_some_and(|(at, _)| now.saturating_sub(*at) > RATE_WINDOW)
        {
            self.departures.pop_front();
        }
        let Some((first, _)) = self.departures.front() else {
            return 0.0;
        };
        let departed: u64 = self.departures.iter().map(|(_, count)| count).sum();
        // A drain that has only just begun is judged over its own length.
        let over = now
            .saturating_sub(*first)
            .clamp(Duration::from_secs(1), RATE_WINDOW);
        departed as f64 / over.as_secs_f64()
    }

    fn note_disk(&mut self, free: Option<u64>) {
        let (Some(free), now) = (free, self.parts.clock.elapsed()) else {
            return;
        };
        match self.disk.back_mut() {
            Some((at, _)) if now.saturating_sub(*at) < DISK_EVERY => return,
            _ => self.disk.push_back((now, free)),
        }
        while self
            .disk
            .front()
            .is_some_and(|(at, _)| now.saturating_sub(*at) > DISK_WINDOW)
        {
            self.disk.pop_front();
        }
    }

    fn hours_until_full(&self) -> Option<f64> {
        let ((first, free_then), (last, free_now)) = (self.disk.front()?, self.disk.back()?);
        let (hours, used) = (
            last.saturating_sub(*first).as_secs_f64() / 3600.0,
            free_then.checked_sub(*free_now)?,
        );
        (used > 0 && hours > 0.0).then(|| *free_now as f64 / (used as f64 / hours))
    }
}

/// Seconds until the queue is empty at the present rate; none where nothing leaves it.
fn eta(queue: &QueueStatus) -> Option<f64> {
    if queue.pending == 0 {
        return Some(0.0);
    }
    (queue.drain_rate_per_s > 0.0).then(|| queue.pending as f64 / queue.drain_rate_per_s)
}
