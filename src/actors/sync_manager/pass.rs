//! One sync pass: repeats what is still open, then claims and uploads until the queue is empty.
//!
//! A pass keeps nothing that matters in memory. Cut off at any point, the next one finds the manifests in the
//! Sync Database and goes on under the old keys.

use std::{cell::RefCell, collections::VecDeque, rc::Rc, sync::Arc, time::Duration};

use tokio::sync::watch;
use tracing::Span;

use super::{
    decision::{Next, Tries, decide},
    delivery::{Delivered, DeliveryLine},
    isolation::{Isolation, Verdict},
};
use crate::{
    clock::Clock,
    domain::{
        batch::{Batch, ClaimOrder, IdempotencyKey, ManifestState, Settlement},
        outcome::UploadOutcome,
        pass::{PassEnd, PassReport, PassTrigger},
        store::{Fact, StoreError},
        timestamp::Timestamp,
    },
    messages::database_writer::{BeginAttempt, ClaimBatch, JudgeSuspects, Settled},
    storage::SyncStore,
    supervision::{ask::AskError, backoff::extend},
};

/// While an old backlog drains, fresh readings get a turn this often; they are to arrive within two minutes.
const FRESH_TURN_EVERY: Duration = Duration::from_secs(30);
/// A parked batch gets so many times the usual time for an answer.
const PARKED_TIMEOUT_FACTOR: u32 = 4;

/// What may cut a pass short.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Interruption {
    /// Nothing.
    None,
    /// The pass is to end after the exchange in flight.
    Stop,
    /// The link went down.
    Offline(String),
}

/// What a pass counts while it runs; read for the status.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Progress {
    pub(super) delivered: u64,
    pub(super) quarantined: u64,
    pub(super) failed: u64,
    pub(super) requests: u64,
}

/// What a pass works with.
pub(super) struct PassKit {
    pub(super) id: u64,
    pub(super) trigger: PassTrigger,
    pub(super) clock: Clock,
    pub(super) store: Arc<dyn SyncStore>,
    pub(super) line: DeliveryLine,
    pub(super) interruption: watch::Receiver<Interruption>,
    pub(super) batch_size: usize,
    pub(super) max_retries: u32,
    pub(super) timeout: Duration,
    pub(super) span: Span,
    /// Told after every delivery.
    pub(super) on_progress: Rc<dyn Fn(Progress, u64, u64)>,
}

/// Why a pass cannot go on; becomes its end.
enum Broken {
    Store(StoreError),
    Ask(AskError),
    Delivery(String),
}

impl From<StoreError> for Broken {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<AskError> for Broken {
    fn from(error: AskError) -> Self {
        Self::Ask(error)
    }
}

impl From<Broken> for PassEnd {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::Store(error) => Self::DatabaseFailed {
                words: error.to_string(),
            },
            Broken::Ask(error) => Self::Interrupted {
                words: error.to_string(),
            },
            Broken::Delivery(words) => Self::Interrupted { words },
        }
    }
}

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
    progress: Rc<RefCell<Progress>>,
    started_at: Timestamp,
    repeats: VecDeque<IdempotencyKey>,
    parked: VecDeque<IdempotencyKey>,
    isolation: Isolation,
    /// Claims and parts take turns, so that isolating costs at most half of the requests.
    part_is_next: bool,
    fresh: FreshTurns,
    fitting_size: usize,
}

/// When fresh readings have their turn before an old backlog.
struct FreshTurns {
    /// Readings up to this id belong to the backlog.
    after: i64,
    /// The last turn, on the clock.
    last_turn: Duration,
    /// In a turn, every other claim is for fresh readings up to this id.
    open: bool,
    is_next: bool,
}

impl Pass {
    pub(super) fn new(kit: PassKit) -> Self {
        let (started_at, now) = (kit.clock.now().into(), kit.clock.elapsed());
        Self {
            fitting_size: kit.batch_size,
            kit,
            progress: Rc::default(),
            started_at,
            repeats: VecDeque::new(),
            parked: VecDeque::new(),
            isolation: Isolation::default(),
            part_is_next: true,
            fresh: FreshTurns {
                after: i64::MAX,
                last_turn: now,
                open: false,
                is_next: false,
            },
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
        while let Some((batch, source)) = self.next_batch().await? {
            if let Some(end) = self.deliver(batch, source).await? {
                return self.conclude(end).await;
            }
            if let Some(end) = self.interrupted() {
                return self.conclude(end).await;
            }
        }
        self.conclude(PassEnd::Drained).await
    }

    /// Finds what earlier passes left open. Parts and suspects of an isolation that was cut off were refused for
    /// certain, so their readings simply become pending again.
    async fn take_stock(&mut self) -> Result<(), Broken> {
        self.kit.line.judge(JudgeSuspects::Release).await??;
        for manifest in self.kit.store.manifests().await? {
            match manifest.state {
                ManifestState::Live => self.repeats.push_back(manifest.key),
                ManifestState::Parked => self.parked.push_back(manifest.key),
                ManifestState::Part | ManifestState::Suspect => {}
            }
        }
        let remembered = self
            .kit
            .store
            .fact(Fact::BatchSizeThatFits)
            .await?
            .and_then(|size| size.parse().ok());
        self.fitting_size = remembered
            .unwrap_or(usize::MAX)
            .clamp(1, self.kit.batch_size);
        let bounds = self.kit.store.queue_bounds().await?;
        let newest = i64::try_from(self.kit.batch_size).unwrap_or(i64::MAX);
        self.fresh.after = bounds
            .ids
            .map_or(0, |(_, highest)| highest.saturating_sub(newest));
        Ok(())
    }

    async fn next_batch(&mut self) -> Result<Option<(Batch, Source)>, Broken> {
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
        self.open_fresh_turn_if_due();
        if self.fresh.open {
            self.fresh.is_next = !self.fresh.is_next;
            if self.fresh.is_next {
                let batch = self.claim_in(ClaimOrder::After(self.fresh.after)).await?;
                self.fresh.open = batch.is_some();
                if let Some(batch) = batch {
                    let highest = batch.manifest.reading_ids.iter().last();
                    self.fresh.after =
                        highest.map_or(self.fresh.after, |highest| highest.max(self.fresh.after));
                    return Ok(Some(batch));
                }
            }
        }
        self.claim_in(ClaimOrder::Oldest).await
    }

    fn open_fresh_turn_if_due(&mut self) {
        let now = self.kit.clock.elapsed();
        if now.saturating_sub(self.fresh.last_turn) >= FRESH_TURN_EVERY {
            self.fresh.last_turn = now;
            self.fresh.open = true;
        }
    }

    async fn claim_in(&mut self, order: ClaimOrder) -> Result<Option<Batch>, Broken> {
        let claimed = self
            .kit
            .line
            .claim(ClaimBatch {
                order,
                limit: self.fitting_size,
            })
            .await??;
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
            let delivered = self.exchange(&batch, source, failures).await?;
            let Some(Next::TryAgain { wait, sent }) = delivered.try_again() else {
                return self.after_settlement(&batch, source, delivered).await;
            };
            failures += 1;
            if let Some(end) = self.wait(extend(wait, rand::random())).await {
                return Ok(Some(end));
            }
            if sent {
                match self.begin(batch.manifest.key.clone()).await? {
                    Some(again) => batch = again,
                    None => return Ok(None),
                }
            }
        }
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
        let given_up = matches!(
            delivered.decision.settlement,
            Some(Settlement::GiveUp { .. })
        );
        self.count(|progress| {
            progress.delivered += settled.delivered;
            progress.quarantined += settled.quarantined;
            progress.failed += if given_up { batch.len() as u64 } else { 0 };
        });
        if matches!(delivered.outcome, UploadOutcome::TooLarge(_)) {
            self.remember_fitting_size(batch.len() / 2).await?;
        }
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
        let Settled {
            parts, suspects, ..
        } = delivered.settled.clone();
        match &delivered.outcome {
            UploadOutcome::Stored | UploadOutcome::PartlyStored { .. } => self.accepted().await?,
            UploadOutcome::TooLarge(_) => self.isolation.split_for_size(parts, was_part),
            UploadOutcome::Refused { words, .. } => {
                let verdict =
                    self.isolation
                        .refused(&batch.manifest.root, parts, suspects, was_part);
                if verdict == Verdict::Blanket {
                    return Ok(Some(refuses_everything(words)));
                }
            }
            _ => {}
        }
        Ok(None)
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
        let (proven, open) = self.isolation.conclude();
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

    async fn remember_fitting_size(&mut self, size: usize) -> Result<(), Broken> {
        let size = size.max(1);
        if size < self.fitting_size {
            self.fitting_size = size;
            self.kit
                .line
                .remember(Fact::BatchSizeThatFits, size.to_string())
                .await??;
        }
        Ok(())
    }

    /// Waits, unless something cuts the pass short; then the reason is its end.
    async fn wait(&mut self, duration: Duration) -> Option<PassEnd> {
        let mut interruption = self.kit.interruption.clone();
        tokio::select! {
            () = self.kit.clock.sleep(duration) => self.interrupted(),
            _ = interruption.wait_for(|interruption| *interruption != Interruption::None) => self.interrupted(),
        }
    }

    fn interrupted(&self) -> Option<PassEnd> {
        match &*self.kit.interruption.borrow() {
            Interruption::None => None,
            Interruption::Stop => Some(PassEnd::Stopped),
            Interruption::Offline(words) => Some(PassEnd::Offline {
                words: words.clone(),
            }),
        }
    }

    fn count(&self, change: impl FnOnce(&mut Progress)) {
        let mut progress = self.progress.borrow_mut();
        let before = *progress;
        change(&mut progress);
        (self.kit.on_progress)(
            *progress,
            progress.delivered - before.delivered,
            progress.failed - before.failed,
        );
    }
}

fn refuses_everything(words: &str) -> PassEnd {
    PassEnd::Misconfigured {
        words: format!(
            "the Client System refuses every batch, so the fault is hardly with the readings: {words}"
        ),
    }
}
