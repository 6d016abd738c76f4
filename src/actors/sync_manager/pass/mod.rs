//! One sync pass: repeats what is still open, then claims and uploads until the queue is empty.
//!
//! A pass keeps nothing that matters in memory. Cut off at any point, the next one finds the manifests in the
//! Sync Database and goes on under the old keys.

mod cover;
mod sending;
mod setbacks;
mod sources;
mod stream;
mod troubles;
mod window;

use std::{cell::RefCell, collections::VecDeque, time::Duration};

use self::{cover::Cover, setbacks::Setbacks, troubles::Troubles, window::Window};
use super::{
    fitting_size::{Bounds, FittingSize},
    fresh_turns::FreshTurns,
    isolation::Isolation,
    kit::{Broken, PassKit, Progress},
};
use crate::{
    actors::STANDSTILL_MARGIN,
    domain::{
        batch::{Batch, IdempotencyKey, ManifestState, Settlement},
        pass::{PassEnd, PassReport, PassTrigger},
        reading_ids::ReadingIds,
        store::Fact,
        timestamp::Timestamp,
    },
    messages::database_writer::JudgeSuspects,
};

/// An answer that takes longer than this share of the usual time is slow.
const SLOW_SHARE: u32 = 3;
/// While failed batches wait for their next try, fresh readings are looked for this often.
const FRESH_LOOK_EVERY: Duration = Duration::from_secs(10);
/// A pass looks this often for batches of instances that are gone.
const TAKE_OVER_EVERY: Duration = Duration::from_secs(10);

/// Where the batch at hand came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Repeat,
    Part,
    Claim,
    Parked,
}

/// A batch to send, and how it fared before in this pass.
#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) batch: Batch,
    source: Source,
    failures: u32,
    /// Whether an earlier sending may have stored it, and no refusal has come since.
    may_be_stored: bool,
}

impl Attempt {
    fn first((batch, source): (Batch, Source)) -> Self {
        Self {
            may_be_stored: batch.manifest.is_repeated(),
            batch,
            source,
            failures: 0,
        }
    }
}

/// A pass that has ended.
pub(super) struct Finished {
    pub(super) report: PassReport,
    /// It ended for whoever waited, and what came in since that was asked is still pending.
    pub(super) has_left_newer: bool,
}

pub(super) struct Pass {
    kit: PassKit,
    progress: RefCell<Progress>,
    started_at: Timestamp,
    repeats: VecDeque<IdempotencyKey>,
    parked: VecDeque<IdempotencyKey>,
    /// Parked batches that this pass leaves alone.
    left_parked: usize,
    /// Claimed ahead, and not sent yet.
    claimed: VecDeque<Batch>,
    troubles: Troubles,
    setbacks: RefCell<Setbacks>,
    /// When abandoned batches are next looked for.
    take_over_at: Duration,
    isolation: Isolation,
    /// Claims and parts take turns, so that isolating costs at most half of the requests.
    part_is_next: bool,
    fresh: FreshTurns,
    size: FittingSize,
    window: Window,
    cover: Cover,
    /// What was last said of a batch that was given up.
    given_up: Option<String>,
}

impl Pass {
    pub(super) fn new(kit: PassKit) -> Self {
        let (started_at, now) = (kit.clock.now().into(), kit.clock.elapsed());
        Self {
            size: FittingSize::new(bounds(&kit), None),
            window: Window::new(kit.most_in_flight(), kit.timeout / SLOW_SHARE / 2),
            isolation: Isolation::new(kit.server_accepts.get()),
            kit,
            progress: RefCell::default(),
            started_at,
            repeats: VecDeque::new(),
            parked: VecDeque::new(),
            left_parked: 0,
            claimed: VecDeque::new(),
            troubles: Troubles::default(),
            setbacks: RefCell::default(),
            take_over_at: now + TAKE_OVER_EVERY,
            part_is_next: true,
            cover: Cover::default(),
            fresh: FreshTurns::new(i64::MAX, now),
            given_up: None,
        }
    }

    /// Runs the pass to its end.
    pub(super) async fn run(mut self) -> Finished {
        let end = self.work().await.unwrap_or_else(PassEnd::from);
        let progress = *self.progress.borrow();
        let report = PassReport {
            id: self.kit.id,
            trigger: self.kit.trigger,
            started_at: self.started_at,
            finished_at: self.kit.clock.now().into(),
            delivered: progress.delivered,
            quarantined: progress.quarantined,
            failed: progress.failed,
            requests: progress.requests,
            end,
        };
        Finished {
            report,
            has_left_newer: self.cover.is_complete(),
        }
    }

    async fn work(&mut self) -> Result<PassEnd, Broken> {
        self.take_stock().await?;
        loop {
            if let Some(end) = self.wait_for_turn().await? {
                return self.conclude(end).await;
            }
            self.get_on();
            if let Some(end) = self.next_step().await? {
                return self.conclude(end).await;
            }
        }
    }

    async fn next_step(&mut self) -> Result<Option<PassEnd>, Broken> {
        if self.troubles.in_doubt() {
            return self.seek_certainty().await;
        }
        let end = self.stream().await?;
        if end.is_some() || self.troubles.in_doubt() || self.interrupted().is_some() {
            return Ok(end);
        }
        self.one_batch().await
    }

    async fn one_batch(&mut self) -> Result<Option<PassEnd>, Broken> {
        if let Some(open) = self.next_unsettled() {
            return self.settle_again(open).await;
        }
        if self.kit.unsettled.is_full_with(0) {
            return match self.sent_before().await? {
                Some(attempt) => self.deliver(attempt).await,
                None => Ok(Some(self.end_of_queue())),
            };
        }
        if let Some(attempt) = self.next_attempt().await? {
            return self.deliver(attempt).await;
        }
        if self.release_lost_parts().await? {
            return Ok(None);
        }
        Ok(match self.troubles.until_due(self.kit.clock.elapsed()) {
            Some(pause) => self.wait(pause.min(FRESH_LOOK_EVERY)).await,
            None => Some(self.end_of_queue()),
        })
    }

    /// Finds out whether the Client System deals with any batch: by another one, then by trying both again.
    async fn seek_certainty(&mut self) -> Result<Option<PassEnd>, Broken> {
        if let Some(attempt) = self.wanted_attempt().await? {
            return self.deliver(attempt).await;
        }
        if let Some(attempt) = self.failed_before().await? {
            return self.deliver(attempt).await;
        }
        match self.troubles.until_due(self.kit.clock.elapsed()) {
            Some(pause) => Ok(self.wait(pause).await),
            None => Ok(Some(self.end_of_queue())),
        }
    }

    fn end_of_queue(&self) -> PassEnd {
        if let Some(words) = &self.given_up {
            return PassEnd::GivenUp {
                words: words.clone(),
            };
        }
        match self.kit.unsettled.describe() {
            Some(words) => PassEnd::DatabaseFailed { words },
            None => PassEnd::Drained,
        }
    }

    /// Parts of which this pass knows nothing: a split was committed, but its answer was lost in a restart.
    async fn release_lost_parts(&self) -> Result<bool, Broken> {
        let manifests = self.kit.store.manifests().await?;
        let lost = manifests
            .iter()
            .any(|manifest| manifest.state == ManifestState::Part);
        if lost {
            self.release().await?;
        }
        Ok(lost)
    }

    /// Finds what earlier passes left open. Parts and suspects of an isolation that was cut off were refused for
    /// certain, so their readings simply become pending again.
    async fn take_stock(&mut self) -> Result<(), Broken> {
        self.kit.hang_if_armed().await;
        self.kit.line.take_over().await??;
        for root in self.kit.unsettled.to_condemn() {
            self.condemn(root).await?;
        }
        self.release().await?;
        self.kit.unsettled.hurry();
        for manifest in self.kit.store.manifests().await? {
            if self.kit.unsettled.contains(&manifest.key) {
                continue;
            }
            match manifest.state {
                ManifestState::Live => self.repeats.push_back(manifest.key),
                // A parked batch takes its time, which fresh readings should not wait for.
                ManifestState::Parked if self.kit.trigger == PassTrigger::FreshReadings => {
                    self.left_parked += 1;
                }
                ManifestState::Parked => self.parked.push_back(manifest.key),
                ManifestState::Part | ManifestState::Suspect => {}
            }
        }
        let remembered = self.kit.store.fact(Fact::BatchSizeThatFits).await?;
        self.size = FittingSize::new(
            bounds(&self.kit),
            remembered.and_then(|size| size.parse().ok()),
        );
        let partly_taken = self.kit.store.fact(Fact::PartlyTaken).await?;
        let partly_taken = partly_taken.and_then(|ids| ReadingIds::decode(&ids));
        self.isolation.remember(partly_taken.unwrap_or_default());
        self.fresh = FreshTurns::new(self.backlog_end().await?, self.kit.clock.elapsed());
        Ok(())
    }

    /// Before a pass ends, what failed in it is written down, suspects are judged as far as anything is proven, and the rest
    /// of an isolation that cannot go on is given back to the queue.
    async fn conclude(&mut self, end: PassEnd) -> Result<PassEnd, Broken> {
        self.give_back().await?;
        for failed in self.troubles.take() {
            self.cut_short(&failed, &end).await?;
        }
        let is_end_of_queue = matches!(
            end,
            PassEnd::Drained | PassEnd::GivenUp { .. } | PassEnd::DatabaseFailed { .. }
        );
        let (proven, open) = self.isolation.conclude(is_end_of_queue);
        self.kit.server_accepts.set(self.isolation.server_accepts());
        for root in proven {
            self.condemn(root).await?;
        }
        if open || self.isolation.has_parts() {
            self.release().await?;
        }
        if open && end == PassEnd::Drained {
            return Ok(refuses_everything(
                "it refused every part of what there was to send",
            ));
        }
        let end = match (end, self.kit.unsettled.describe()) {
            (PassEnd::Drained, Some(words)) => PassEnd::DatabaseFailed { words },
            (end, _) => end,
        };
        let is_empty =
            end == PassEnd::Drained && !self.isolation.has_parts() && !self.cover.is_complete();
        if is_empty && self.isolation.forget() {
            self.kit.line.remember(Fact::PartlyTaken, None).await??;
        }
        Ok(end)
    }

    /// What an isolation left behind is pending again, but for what is proven bad.
    async fn release(&self) -> Result<(), Broken> {
        let except = self.kit.unsettled.to_condemn();
        let release = JudgeSuspects::Release { except };
        self.kit.line.judge(release).await??;
        Ok(())
    }

    /// What was claimed ahead and not sent waits for the next pass, under its key.
    async fn give_back(&mut self) -> Result<(), Broken> {
        let settlement = Settlement::Postpone {
            words: None,
            sent: false,
        };
        for batch in std::mem::take(&mut self.claimed) {
            self.settle(&batch, &settlement).await?;
        }
        Ok(())
    }

    /// Writes down what nobody else does: a delivery settles its own batch.
    async fn settle(&self, batch: &Batch, settlement: &Settlement) -> Result<(), Broken> {
        let manifest = &batch.manifest;
        let settled = self
            .kit
            .line
            .settle(
                manifest.key.clone(),
                manifest.epoch,
                batch.len(),
                settlement,
            )
            .await;
        settled.map(drop).map_err(Broken::Delivery)
    }

    /// Uploads are spaced where the Client System allows few requests, or the link few bytes. At the end of the queue
    /// there is nothing to wait for.
    async fn wait_for_turn(&mut self) -> Result<Option<PassEnd>, Broken> {
        let wait = self.kit.until_turn();
        if wait.is_zero() {
            return Ok(self.interrupted());
        }
        let has_work = !self.repeats.is_empty()
            || !self.troubles.is_empty()
            || !self.parked.is_empty()
            || !self.claimed.is_empty()
            || self.isolation.has_parts()
            || !self.cover.is_complete() && self.kit.store.queue_bounds().await?.highest.is_some();
        if has_work {
            Ok(self.wait(wait).await)
        } else {
            Ok(self.interrupted())
        }
    }

    fn get_on(&self) {
        self.kit
            .in_hand
            .step("a sync pass", self.kit.longest_step());
    }

    /// Waits, unless something cuts the pass short; then the reason is its end.
    async fn wait(&mut self, duration: Duration) -> Option<PassEnd> {
        let allowed = duration.saturating_add(STANDSTILL_MARGIN);
        self.kit.in_hand.step("a pause of a sync pass", allowed);
        tokio::select! {
            () = self.kit.clock.sleep(duration) => {}
            () = self.kit.interrupted() => {}
        }
        self.interrupted()
    }

    fn interrupted(&self) -> Option<PassEnd> {
        self.kit.interruption.borrow().end()
    }

    fn count(&self, change: impl FnOnce(&mut Progress)) {
        change(&mut self.progress.borrow_mut());
        (self.kit.on_progress)(*self.progress.borrow());
    }
}

fn bounds(kit: &PassKit) -> Bounds {
    let limits = kit.limits.get();
    Bounds {
        usual: limits.batch_size,
        most: limits.batch_size_max,
        slow: kit.timeout / SLOW_SHARE,
    }
}

fn refuses_everything(words: &str) -> PassEnd {
    PassEnd::Misconfigured {
        words: format!(
            "the Client System refuses every batch, so the fault is hardly with the readings: {words}"
        ),
    }
}

#[cfg(test)]
impl Attempt {
    /// Of a batch with one reading, under this key.
    pub(super) fn specimen(key: &str) -> Self {
        let key = IdempotencyKey(key.to_owned());
        let manifest = crate::domain::batch::Manifest {
            root: key.clone(),
            key,
            reading_ids: [1].into_iter().collect(),
            attempts: 1,
            failed_passes: 0,
            state: ManifestState::Live,
            last_error: None,
            last_status: None,
            claimed_at: Timestamp(chrono::DateTime::UNIX_EPOCH),
            epoch: 0,
        };
        let body = std::sync::Arc::from([]);
        Self::first((Batch { manifest, body }, Source::Claim))
    }
}
