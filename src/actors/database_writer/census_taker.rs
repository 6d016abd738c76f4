//! Keeps the published picture of the queue true at little cost, and notices what other programs insert.

use std::{collections::VecDeque, time::Duration};

use super::{
    DATABASE_PATIENCE, DatabaseWriterParts, drain_rate::DrainRate, group::Changes,
    queue_count::QueueCount, waiting_since::WaitingSince,
};
use crate::{
    domain::{
        store::{Fact, Flight, Reserve, StoreError},
        timestamp::Timestamp,
    },
    messages::{database_writer::DatabaseSnapshot, sync_manager::FreshReadings},
    supervision::ask::tell,
};

/// How often other programs' changes are looked for. The queue's size is to be exact within 5 s.
pub(super) const EVERY: Duration = Duration::from_secs(2);
/// While we write ourselves, the picture is renewed this often.
const UNDER_WORK: Duration = Duration::from_millis(250);
/// Over how long the growth of the disk's use is judged, and how often it is looked at.
const DISK_WINDOW: Duration = Duration::from_secs(3600);
/// A shorter look at the disk tells nothing about the hours to come.
const SHORTEST_TREND_HOURS: f64 = 0.25;
const DISK_EVERY: Duration = Duration::from_secs(60);
/// While nothing changes in the queue and the disk is not full, it is looked at this often.
const DISK_AT_REST: Duration = Duration::from_secs(10);

/// What the manifests and the quarantine came to when they were last looked at.
#[derive(Clone, Debug, Default)]
struct Bookkeeping {
    flight: Flight,
    quarantined: u64,
    possibly_doubled: u64,
}

pub(super) struct CensusTaker {
    parts: DatabaseWriterParts,
    count: QueueCount,
    /// When the next look is due.
    due_at: Duration,
    taken_at: Duration,
    is_at_rest: bool,
    /// When the books are next looked at, for other instances write in them as well.
    books_at: Duration,
    bookkeeping: Bookkeeping,
    bookkeeping_changed: bool,
    drain_rate: DrainRate,
    waiting_since: WaitingSince,
    /// All of the queue was counted once, so that what differs from then on is a change of it.
    has_counted: bool,
    /// Free bytes when last looked at, and by time.
    disk_free: Option<u64>,
    disk: VecDeque<(Duration, u64)>,
    disk_at: Duration,
    possibly_doubled: u64,
    /// The last failure was that pages cannot be read.
    is_damaged: bool,
    /// The last change could not be written, as where another program keeps the database locked. That it can be read says
    /// nothing about that.
    writing_fails: bool,
}

impl CensusTaker {
    pub(super) fn new(parts: DatabaseWriterParts) -> Self {
        let possibly_doubled = parts
            .published
            .read(|snapshot| snapshot.queue.possibly_doubled_uploads);
        Self {
            count: QueueCount::new(parts.store.clone()),
            parts,
            due_at: Duration::ZERO,
            taken_at: Duration::ZERO,
            is_at_rest: false,
            books_at: Duration::ZERO,
            bookkeeping: Bookkeeping::default(),
            bookkeeping_changed: true,
            drain_rate: DrainRate::default(),
            waiting_since: WaitingSince::default(),
            has_counted: false,
            disk_free: None,
            disk: VecDeque::new(),
            disk_at: Duration::ZERO,
            possibly_doubled,
            is_damaged: false,
            writing_fails: false,
        }
    }

    /// Whether pages of the database cannot be read.
    pub(super) fn is_damaged(&self) -> bool {
        self.is_damaged
    }

    /// The time until the next look. Where every change is told since before the last one, and that found none, the next
    /// one is for the disk alone.
    pub(super) fn until_due(&self, told_since: Option<Duration>) -> Duration {
        let is_told = told_since.is_some_and(|since| since < self.taken_at);
        let due_at = if is_told && self.is_at_rest {
            self.due_at.max(self.disk_at)
        } else {
            self.due_at
        };
        due_at.saturating_sub(self.parts.clock.elapsed())
    }

    /// Whether the last look found the same as the one before it, and nothing was written since.
    pub(super) fn is_at_rest(&self) -> bool {
        self.is_at_rest
    }

    /// Takes in what a group of our own changed.
    pub(super) async fn note(&mut self, changes: &Changes) {
        let now = self.parts.clock.elapsed();
        self.is_at_rest = false;
        for ids in &changes.removed {
            self.count.remove(ids);
            self.drain_rate.departed(now, ids.len() as u64);
        }
        self.possibly_doubled += changes.possibly_doubled;
        self.note_totals(changes);
        self.bookkeeping_changed |= changes.bookkeeping;
        if changes.lacks_room {
            self.tell_full_disk(true);
        }
        if let Some(failure) = &changes.failure {
            self.writing_fails = matches!(
                failure,
                StoreError::Busy(_) | StoreError::Silent | StoreError::Failed(_)
            );
            return self.publish_failure(failure);
        }
        self.writing_fails = false;
        let now = self.parts.clock.now().into();
        self.publish(|snapshot| {
            snapshot.commits += 1;
            snapshot.note_usable(now);
        });
        self.count.note_own_commit();
        self.due_at = self.due_at.min(self.taken_at + UNDER_WORK);
        let claimed_unseen = changes
            .claimed_through
            .is_some_and(|id| self.count.is_behind(id));
        if claimed_unseen {
            // The pass that claimed them goes on to the end of the queue; nobody has to be told.
            self.look_and_note_failure().await;
        } else if changes.inserted || changes.quarantine || self.until_due(None).is_zero() {
            self.take().await;
        }
    }

    fn note_totals(&self, changes: &Changes) {
        if changes.delivered + changes.given_up > 0 {
            self.parts.totals.update(|totals| {
                totals.total_synced += changes.delivered;
                totals.total_failed += changes.given_up;
            });
        }
    }

    pub(super) async fn take_if_due(&mut self, told_since: Option<Duration>) {
        if self.until_due(told_since).is_zero() {
            self.take().await;
        }
    }

    /// A look at once, for the database announced something, and soon another one: a file is written to before its change can
    /// be seen.
    pub(super) async fn take_now(&mut self) {
        self.take().await;
        self.due_at = self.due_at.min(self.taken_at + UNDER_WORK);
    }

    /// The first look at a database that took another's place: what is in it waits for a pass.
    pub(super) async fn take_first(&mut self) {
        self.look_and_note_failure().await;
        tell(&self.parts.fresh_readings, FreshReadings);
    }

    async fn take(&mut self) {
        if self.look_and_note_failure().await {
            // Should this be lost, the schedule or the next reading starts a pass.
            tell(&self.parts.fresh_readings, FreshReadings);
        }
    }

    /// Tells whether there is something that a pass should take up.
    async fn look_and_note_failure(&mut self) -> bool {
        self.taken_at = self.parts.clock.elapsed();
        self.due_at = self.taken_at + EVERY;
        self.is_at_rest = false;
        let looked = tokio::time::timeout(DATABASE_PATIENCE, self.look()).await;
        match looked.unwrap_or(Err(StoreError::Silent)) {
            Ok(is_news) => is_news,
            Err(error) => {
                self.publish_failure(&error);
                false
            }
        }
    }

    /// Tries whether it could be written to where that has failed, so that a lock is blamed neither too long nor too little.
    async fn try_writing(&mut self) -> Result<(), StoreError> {
        if self.writing_fails {
            self.parts.store.try_writing().await?;
            self.writing_fails = false;
        }
        Ok(())
    }

    async fn look(&mut self) -> Result<bool, StoreError> {
        let store = self.parts.store.clone();
        // What could not be written to may be gone, with another in its place.
        let is_another = store.follow().await?;
        if is_another {
            self.begin_anew();
        }
        self.try_writing().await?;
        let (before, began) = (self.count.total(), self.parts.clock.now().into());
        let look = self.count.look(self.taken_at).await?;
        if look.is_foreign {
            self.parts.ahead.note_others(self.taken_at);
        }
        if self.has_counted {
            let after = self.count.total();
            self.drain_rate.changed(self.taken_at, before, after);
        }
        self.has_counted |= look.is_complete;
        if !look.is_same || self.taken_at >= self.disk_at {
            self.look_at_disk().await;
        }
        let salvages = store.salvages().await;
        let is_due = self.count.is_shared() && self.taken_at >= self.books_at;
        if self.bookkeeping_changed || is_due {
            self.bookkeeping = self.look_at_books().await?;
            // What was counted before this process, and by other instances.
            self.possibly_doubled = self.possibly_doubled.max(self.bookkeeping.possibly_doubled);
            self.books_at = self.taken_at + EVERY;
            self.bookkeeping_changed = false;
        }
        let last_collection = if look.is_same {
            None
        } else {
            Some(store.last_collection().await?)
        };
        let oldest_pending_at = self
            .waiting_since
            .look(&look.bounds, began)
            .map(Timestamp::in_milliseconds);
        let now = self.parts.clock.now().into();
        // All in one go: whoever reads sees numbers that belong together.
        self.publish(|snapshot| {
            snapshot.counted |= look.is_complete;
            snapshot.note_usable(now);
            snapshot.queue.oldest_pending_at = oldest_pending_at;
            if let Some(last_collection) = last_collection {
                snapshot.last_collection = last_collection;
            }
            snapshot.salvages = salvages;
        });
        if !look.is_complete {
            self.due_at = self.taken_at;
        }
        self.is_at_rest = look.is_same && !self.bookkeeping_changed;
        Ok(is_another || look.has_fresh_readings || self.bookkeeping.flight.abandoned)
    }

    /// Another database is open: nothing that was counted holds.
    fn begin_anew(&mut self) {
        self.count = QueueCount::new(self.parts.store.clone());
        self.drain_rate = DrainRate::default();
        self.waiting_since = WaitingSince::default();
        self.has_counted = false;
        self.bookkeeping_changed = true;
        let now = self.parts.clock.now().into();
        self.parts
            .published
            .update(|snapshot| snapshot.replaced_at = Some(now));
    }

    async fn look_at_books(&self) -> Result<Bookkeeping, StoreError> {
        let doubled = self.parts.store.fact(Fact::PossiblyDoubledUploads).await?;
        Ok(Bookkeeping {
            flight: self.parts.store.flight().await?,
            quarantined: self.parts.store.quarantined_count().await?,
            possibly_doubled: doubled.and_then(|text| text.parse().ok()).unwrap_or(0),
        })
    }

    fn publish(&mut self, change: impl FnOnce(&mut DatabaseSnapshot)) {
        let (now, pending) = (self.parts.clock.elapsed(), self.count.total());
        let rate = self.drain_rate.per_second(now);
        let eta = self.drain_rate.eta(now, pending);
        let hours_until_full = self.hours_until_full();
        let disk_free_bytes = self.disk_free;
        let (possibly_doubled, books) = (self.possibly_doubled, self.bookkeeping.clone());
        self.parts.published.update(|snapshot| {
            change(snapshot);
            let queue = &mut snapshot.queue;
            queue.pending = pending;
            // The manifests are looked at less often than the queue, and nothing is in flight that does not wait.
            queue.in_flight = books.flight.readings.min(pending);
            queue.parked_batches = books.flight.parked;
            queue.parked_error = books.flight.parked_error;
            queue.quarantined = books.quarantined;
            queue.drain_rate_per_s = rate;
            queue.eta_s = eta;
            queue.disk_free_bytes = disk_free_bytes;
            queue.hours_until_full = hours_until_full;
            queue.possibly_doubled_uploads = possibly_doubled;
            if pending == 0 {
                queue.oldest_pending_at = None;
            }
        });
    }

    fn publish_failure(&mut self, failure: &StoreError) {
        self.is_damaged = matches!(failure, StoreError::Damaged(_));
        self.parts.tell_failure(failure);
    }

    async fn look_at_disk(&mut self) {
        self.note_disk(self.parts.store.disk_free_bytes().await);
        let reserve = self.parts.store.keep_reserve().await;
        self.note_reserve(reserve);
        self.note_log();
        // Until there is room again nothing is taken in.
        let is_kept = reserve == Reserve::Kept;
        self.disk_at = self.taken_at + if is_kept { DISK_AT_REST } else { EVERY };
    }

    fn note_disk(&mut self, free: Option<u64>) {
        self.disk_free = free;
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

    fn note_reserve(&self, reserve: Reserve) {
        self.tell_full_disk(matches!(reserve, Reserve::AllThatIsLeft | Reserve::InUse));
    }

    fn tell_full_disk(&self, is_full: bool) {
        let was_full = self
            .parts
            .published
            .read(|snapshot| snapshot.queue.disk_full_since.is_some());
        if is_full != was_full {
            let since = is_full.then(|| self.parts.clock.now().into());
            self.parts
                .published
                .update(|snapshot| snapshot.queue.disk_full_since = since);
        }
    }

    fn note_log(&self) {
        let (store, published) = (&self.parts.store, &self.parts.published);
        let now = (store.log_kept_by_readers(), store.log_lacks_bytes());
        let told = published.read(|snapshot| {
            let queue = &snapshot.queue;
            (queue.log_kept_bytes, queue.log_lacks_bytes)
        });
        if now != told {
            published.update(|snapshot| {
                (
                    snapshot.queue.log_kept_bytes,
                    snapshot.queue.log_lacks_bytes,
                ) = now;
            });
        }
    }

    fn hours_until_full(&self) -> Option<f64> {
        let ((first, free_then), (last, free_now)) = (self.disk.front()?, self.disk.back()?);
        let (hours, used) = (
            last.saturating_sub(*first).as_secs_f64() / 3600.0,
            free_then.checked_sub(*free_now)?,
        );
        (used > 0 && hours >= SHORTEST_TREND_HOURS)
            .then(|| *free_now as f64 / (used as f64 / hours))
    }
}
