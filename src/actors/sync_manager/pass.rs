//! One sync pass: repeats what is still open, then claims and uploads until the queue is empty.
//!
//! A pass keeps nothing that matters in memory. Cut off at any point, the next one finds the manifests in the
//! Sync Database and goes on under the old keys.

use std::{cell::RefCell, collections::VecDeque, time::Duration};

use super::{
    decision::{Next, Tries, cut_off, decide},
    delivery::Delivered,
    fitting_size::{Bounds, FittingSize},
    fresh_turns::FreshTurns,
    isolation::{Isolation, Verdict},
    kit::{Broken, Interruption, PARKED_TIMEOUT_FACTOR, PassKit, Progress},
};
use crate::{
    actors::STANDSTILL_MARGIN,
    domain::{
        backoff::extend,
        batch::{Batch, ClaimOrder, IdempotencyKey, ManifestState, Settlement},
        outcome::UploadOutcome,
        pass::{PassEnd, PassReport, PassTrigger},
        store::Fact,
        timestamp::Timestamp,
    },
    messages::database_writer::{BeginAttempt, ClaimBatch, JudgeSuspects},
};

/// An answer that takes longer than this share of the usual time is slow.
const SLOW_SHARE: u32 = 3;
/// A pass looks this often for batches of instances that are gone.
const TAKE_OVER_EVERY: Duration = Duration::from_secs(10);

/// Where the batch at hand came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Repeat,
    Part,
    Claim,
    Parked,
}

pub(super) struct Pass {
    kit: PassKit,
    progress: RefCell<Progress>,
    started_at: Timestamp,
    repeats: VecDeque<IdempotencyKey>,
    parked: VecDeque<IdempotencyKey>,
    /// When abandoned batches are next looked for.
    take_over_at: Duration,
    isolation: Isolation,
    /// Claims and parts take turns, so that isolating costs at most half of the requests.
    part_is_next: bool,
    fresh: FreshTurns,
    size: FittingSize,
    /// What was last said of a batch that was given up.
    given_up: Option<String>,
}

impl Pass {
    pub(super) fn new(kit: PassKit) -> Self {
        let (started_at, now) = (kit.clock.now().into(), kit.clock.elapsed());
        Self {
            size: FittingSize::new(bounds(&kit), None),
            isolation: Isolation::new(kit.server_accepts.get()),
            kit,
            progress: RefCell::default(),
            started_at,
            repeats: VecDeque::new(),
            parked: VecDeque::new(),
            take_over_at: now + TAKE_OVER_EVERY,
            part_is_next: true,
            fresh: FreshTurns::new(i64::MAX, now),
            given_up: None,
        }
    }

    /// Runs the pass to its end.
    pub(super) async fn run(mut self) -> PassReport {
        let end = self.work().await.unwrap_or_else(PassEnd::from);
        let progress = *self.progress.borrow();
        PassReport {
            id: self.kit.id,
            trigger: self.kit.trigger,
            started_at: self.started_at,
            finished_at: self.kit.clock.now().into(),
            delivered: progress.delivered,
            quarantined: progress.quarantined,
            failed: progress.failed,
            requests: progress.requests,
            end,
        }
    }

    async fn work(&mut self) -> Result<PassEnd, Broken> {
        self.take_stock().await?;
        loop {
            if let Some(end) = self.wait_for_turn().await? {
                return self.conclude(end).await;
            }
            self.get_on();
            let end = match self.next_batch().await? {
                Some((batch, source)) => self.deliver(batch, source).await?,
                None if self.release_lost_parts().await? => None,
                None => Some(self.end_of_queue()),
            };
            if let Some(end) = end {
                return self.conclude(end).await;
            }
        }
    }

    fn end_of_queue(&self) -> PassEnd {
        match &self.given_up {
            Some(words) => PassEnd::GivenUp {
                words: words.clone(),
            },
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
            self.kit.line.judge(JudgeSuspects::Release).await??;
        }
        Ok(lost)
    }

    /// Finds what earlier passes left open. Parts and suspects of an isolation that was cut off were refused for
    /// certain, so their readings simply become pending again.
    async fn take_stock(&mut self) -> Result<(), Broken> {
        self.kit.hang_if_armed().await;
        self.kit.line.take_over().await??;
        self.kit.line.judge(JudgeSuspects::Release).await??;
        for manifest in self.kit.store.manifests().await? {
            match manifest.state {
                ManifestState::Live => self.repeats.push_back(manifest.key),
                // A parked batch takes its time, which fresh readings should not wait for.
                ManifestState::Parked if self.kit.trigger == PassTrigger::FreshReadings => {}
                ManifestState::Parked => self.parked.push_back(manifest.key),
                ManifestState::Part | ManifestState::Suspect => {}
            }
        }
        let remembered = self.kit.store.fact(Fact::BatchSizeThatFits).await?;
        self.size = FittingSize::new(
            bounds(&self.kit),
            remembered.and_then(|size| size.parse().ok()),
        );
        let bounds = self.kit.store.queue_bounds().await?;
        let newest = i64::try_from(self.kit.batch_size).unwrap_or(i64::MAX);
        let backlog_end = bounds
            .highest
            .map_or(0, |highest| highest.saturating_sub(newest));
        self.fresh = FreshTurns::new(backlog_end, self.kit.clock.elapsed());
        Ok(())
    }

    /// An instance that dies while the others drain a long backlog is not waited for until its end.
    async fn take_over_if_due(&mut self) -> Result<(), Broken> {
        let now = self.kit.clock.elapsed();
        if now >= self.take_over_at {
            self.take_over_at = now + TAKE_OVER_EVERY;
            self.repeats.extend(self.kit.line.take_over().await??);
        }
        Ok(())
    }

    async fn next_batch(&mut self) -> Result<Option<(Batch, Source)>, Broken> {
        self.take_over_if_due().await?;
        if let Some(batch) = self.begin_first(Source::Repeat).await? {
            return Ok(Some(batch));
        }
        self.part_is_next = !self.part_is_next && self.isolation.has_parts();
        if self.part_is_next
            && let Some(batch) = self.begin_part().await?
        {
            return Ok(Some(batch));
        }
        if let Some(batch) = self.claim().await? {
            return Ok(Some((batch, Source::Claim)));
        }
        if let Some(batch) = self.begin_part().await? {
            return Ok(Some(batch));
        }
        self.begin_first(Source::Parked).await
    }

    async fn begin_first(&mut self, source: Source) -> Result<Option<(Batch, Source)>, Broken> {
        loop {
            let list = if source == Source::Repeat {
                &mut self.repeats
            } else {
                &mut self.parked
            };
            let Some(key) = list.pop_front() else {
                return Ok(None);
            };
            if let Some(batch) = self.begin(key).await? {
                return Ok(Some((batch, source)));
            }
        }
    }

    async fn begin_part(&mut self) -> Result<Option<(Batch, Source)>, Broken> {
        while let Some(key) = self.isolation.next_part() {
            if let Some(batch) = self.begin(key).await? {
                return Ok(Some((batch, Source::Part)));
            }
        }
        Ok(None)
    }

    async fn begin(&self, key: IdempotencyKey) -> Result<Option<Batch>, Broken> {
        Ok(self.kit.line.begin(BeginAttempt { key }).await??)
    }

    async fn claim(&mut self) -> Result<Option<Batch>, Broken> {
        let order = self.fresh.next(self.kit.clock.elapsed());
        let batch = self.claim_in(order).await?;
        if order == ClaimOrder::Oldest {
            return Ok(batch);
        }
        self.fresh.claimed(
            batch
                .as_ref()
                .and_then(|batch| batch.manifest.reading_ids.iter().last()),
        );
        match batch {
            Some(batch) => Ok(Some(batch)),
            None => self.claim_in(ClaimOrder::Oldest).await,
        }
    }

    async fn claim_in(&mut self, order: ClaimOrder) -> Result<Option<Batch>, Broken> {
        let message = ClaimBatch {
            order,
            limit: self.size.limit(self.kit.requests_are_scarce()),
        };
        let claimed = self.kit.line.claim(message).await??;
        self.count(|progress| progress.quarantined += claimed.unreadable);
        Ok(claimed.batch)
    }

    /// Sends a batch until its fate is decided. Returns the pass's end where it has to end.
    async fn deliver(
        &mut self,
        mut batch: Batch,
        source: Source,
    ) -> Result<Option<PassEnd>, Broken> {
        let mut failures = 0;
        loop {
            self.get_on();
            let begun = self.kit.clock.elapsed();
            let delivered = self.exchange(&batch, source, failures).await?;
            let took = self.kit.clock.elapsed().saturating_sub(begun);
            self.note_time(&delivered.outcome, batch.len(), took)
                .await?;
            let Some(Next::TryAgain { wait, sent }) = delivered.try_again() else {
                return self.after_settlement(&batch, source, delivered).await;
            };
            // A pause that the server asked for before this try is no failure of the batch.
            failures += u32::from(!matches!(delivered.outcome, UploadOutcome::Held(_)));
            let wait = extend(wait, rand::random()).max(self.kit.until_turn());
            if let Some(end) = self.wait(wait).await {
                return self
                    .cut_short(&batch, &delivered.outcome, sent, end)
                    .await
                    .map(Some);
            }
            if sent {
                match self.begin(batch.manifest.key.clone()).await? {
                    Some(again) => batch = again,
                    None => return Ok(None),
                }
            }
        }
    }

    async fn cut_short(
        &self,
        batch: &Batch,
        outcome: &UploadOutcome,
        sent: bool,
        end: PassEnd,
    ) -> Result<PassEnd, Broken> {
        if sent && matches!(end, PassEnd::Offline { .. }) {
            let manifest = &batch.manifest;
            let settlement = cut_off(outcome.describe(), manifest.failed_passes);
            self.kit
                .line
                .settle(manifest.key.clone(), manifest.epoch, &settlement)
                .await
                .map_err(Broken::Delivery)?;
            self.count(|progress| progress.failed += batch.len() as u64);
        }
        Ok(end)
    }

    async fn exchange(
        &self,
        batch: &Batch,
        source: Source,
        failures: u32,
    ) -> Result<Delivered, Broken> {
        self.count(|progress| progress.requests += 1);
        let timeout = if source == Source::Parked {
            self.kit.timeout * PARKED_TIMEOUT_FACTOR
        } else {
            self.kit.timeout
        };
        let (clock, max_retries) = (self.kit.clock.clone(), self.kit.max_retries);
        let manifest = &batch.manifest;
        let (length, failed_passes, state) = (batch.len(), manifest.failed_passes, manifest.state);
        let is_part = manifest.root != manifest.key;
        let decide = move |outcome: &UploadOutcome| {
            decide(
                outcome,
                Tries {
                    length,
                    failures,
                    max_retries,
                    failed_passes,
                    is_part,
                    state,
                    now: clock.now().into(),
                },
            )
        };
        self.kit
            .line
            .deliver(batch, timeout, &self.kit.span, decide)
            .await
            .map_err(Broken::Delivery)
    }

    async fn after_settlement(
        &mut self,
        batch: &Batch,
        source: Source,
        delivered: Delivered,
    ) -> Result<Option<PassEnd>, Broken> {
        let settled = &delivered.settled;
        let mut failed = 0;
        if let Some(Settlement::GiveUp { words, .. }) = &delivered.decision.settlement {
            failed = batch.len() as u64;
            self.given_up = Some(words.clone());
        }
        self.count(|progress| {
            progress.delivered += settled.delivered;
            progress.quarantined += settled.quarantined;
            progress.failed += failed;
        });
        if let Some(end) = self.isolate(batch, source, &delivered).await? {
            return Ok(Some(end));
        }
        Ok(match delivered.decision.next {
            Next::End(end) => Some(end),
            Next::GoOn | Next::TryAgain { .. } => None,
        })
    }

    async fn isolate(
        &mut self,
        batch: &Batch,
        source: Source,
        delivered: &Delivered,
    ) -> Result<Option<PassEnd>, Broken> {
        let was_part = source == Source::Part;
        let (parts, suspects) = (delivered.settled.parts.clone(), delivered.settled.suspects);
        match &delivered.outcome {
            UploadOutcome::Stored | UploadOutcome::PartlyStored { .. } => self.accepted().await?,
            UploadOutcome::TooLarge(_) if batch.len() > 1 => {
                self.size.too_large(batch.len());
                self.isolation.split_for_size(parts, was_part);
            }
            UploadOutcome::TooLarge(words) | UploadOutcome::Refused { words, .. } => {
                let root = &batch.manifest.root;
                if self.isolation.refused(root, parts, suspects, was_part) == Verdict::Blanket {
                    return Ok(Some(refuses_everything(words)));
                }
            }
            _ => {}
        }
        Ok(None)
    }

    /// What the outcome and the time that it took say about the size of the next batches.
    async fn note_time(
        &mut self,
        outcome: &UploadOutcome,
        length: usize,
        took: Duration,
    ) -> Result<(), Broken> {
        let remembered = match outcome {
            UploadOutcome::Stored | UploadOutcome::PartlyStored { .. } => {
                let scarce = self.kit.requests_are_scarce();
                self.size.accepted(length, took, scarce)
            }
            UploadOutcome::Ambiguous {
                timed_out: true, ..
            } => {
                self.size.timed_out(length);
                None
            }
            _ => None,
        };
        if let Some(size) = remembered {
            let size = size.map(|size| size.to_string());
            self.kit
                .line
                .remember(Fact::BatchSizeThatFits, size)
                .await??;
        }
        Ok(())
    }

    async fn accepted(&mut self) -> Result<(), Broken> {
        if self.isolation.accepted() {
            self.condemn(None).await?;
        }
        Ok(())
    }

    async fn condemn(&self, root: Option<IdempotencyKey>) -> Result<(), Broken> {
        let settled = self.kit.line.judge(JudgeSuspects::Condemn(root)).await??;
        self.count(|progress| progress.quarantined += settled.quarantined);
        Ok(())
    }

    /// Before a pass ends, suspects are judged as far as anything is proven, and the rest of an isolation that
    /// cannot go on is given back to the queue.
    async fn conclude(&mut self, end: PassEnd) -> Result<PassEnd, Broken> {
        let is_end_of_queue = matches!(end, PassEnd::Drained | PassEnd::GivenUp { .. });
        let (proven, open) = self.isolation.conclude(is_end_of_queue);
        self.kit.server_accepts.set(self.isolation.server_accepts());
        for root in proven {
            self.condemn(Some(root)).await?;
        }
        if open || self.isolation.has_parts() {
            self.kit.line.judge(JudgeSuspects::Release).await??;
        }
        if open && end == PassEnd::Drained {
            return Ok(refuses_everything(
                "it refused every part of what there was to send",
            ));
        }
        Ok(end)
    }

    /// Uploads are spaced where the Client System allows few requests, or the link few bytes. At the end of the queue
    /// there is nothing to wait for.
    async fn wait_for_turn(&mut self) -> Result<Option<PassEnd>, Broken> {
        let wait = self.kit.until_turn();
        if wait.is_zero() {
            return Ok(self.interrupted());
        }
        let has_work = !self.repeats.is_empty()
            || !self.parked.is_empty()
            || self.isolation.has_parts()
            || self.kit.store.queue_bounds().await?.highest.is_some();
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
        let mut interruption = self.kit.interruption.clone();
        tokio::select! {
            () = self.kit.clock.sleep(duration) => self.interrupted(),
            _ = interruption.wait_for(|interruption| *interruption != Interruption::None) => self.interrupted(),
        }
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
    Bounds {
        usual: kit.batch_size,
        most: kit.batch_size_max,
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
