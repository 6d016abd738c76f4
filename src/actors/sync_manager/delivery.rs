//! From a batch to its settled outcome. A delivery runs beside the actors: once begun it goes on to the commit
//! that settles it, even if the sync manager is restarted meanwhile.

use std::{future::Future, sync::Arc, time::Duration};

use actix::Recipient;
use tokio::task::JoinHandle;
use tracing::Span;

use super::{
    decision::{Decision, Next},
    pass::Attempt,
    unsettled::Open,
};
use crate::{
    clock::Clock,
    domain::{
        backoff::Backoff,
        batch::{Batch, IdempotencyKey, Settlement},
        outcome::UploadOutcome,
        store::{Fact, StoreError},
    },
    messages::{
        api_client::UploadBatch,
        database_writer::{
            BeginAttempt, ClaimBatches, Claimed, JudgeSuspects, Remember, SettleBatch, Settled,
            TakeOver,
        },
    },
    supervision::{
        ask::{AskError, ask_within},
        failure_points::FailurePoints,
    },
};

/// The database may be locked by another program for a while; nothing is lost by waiting for it.
const WRITE_PATIENCE: Duration = Duration::from_secs(60);
/// An upload ends by its own timeout; beyond this margin the API client itself has gone wrong.
const UPLOAD_MARGIN: Duration = Duration::from_secs(10);
/// Between tries to write down a definite outcome.
const SETTLE_BACKOFF: Backoff = Backoff {
    base: Duration::from_millis(200),
    cap: Duration::from_secs(5),
};
/// Tries to write down an outcome while a part of the service is restarted.
const SETTLE_TRIES: u32 = 20;
/// Refusals of the database until others come first. Rows that another program has locked may stay so for hours.
const SETTLE_REFUSALS: u32 = 2;

/// All tries to write down an outcome, each at its longest.
pub(super) const LONGEST_SETTLING: Duration = Duration::from_secs(1_500);

type Answer<T> = Result<Result<T, StoreError>, AskError>;

/// Whom a pass talks to.
#[derive(Clone)]
pub struct DeliveryLine {
    /// Uploads batches.
    pub upload: Recipient<UploadBatch>,
    /// Claims batches.
    pub claim: Recipient<ClaimBatches>,
    /// Notes repeated sendings.
    pub begin: Recipient<BeginAttempt>,
    /// Settles batches.
    pub settle: Recipient<SettleBatch>,
    /// Takes over what other instances left behind.
    pub take_over: Recipient<TakeOver>,
    /// Decides about suspects.
    pub judge: Recipient<JudgeSuspects>,
    /// Remembers facts.
    pub remember: Recipient<Remember>,
    /// The time.
    pub clock: Clock,
    /// Planned failures.
    pub failure_points: FailurePoints,
}

/// A delivery that has come to a decision, and what was written down about it.
#[derive(Debug)]
pub(super) struct Delivered {
    pub(super) outcome: UploadOutcome,
    /// How long the exchange took, its turn at the API client included.
    pub(super) took: Duration,
    pub(super) decision: Decision,
    /// In words, why nothing could be written down yet.
    pub(super) settled: Result<Settled, String>,
}

impl Delivered {
    pub(super) fn try_again(&self) -> Option<Next> {
        matches!(self.decision.next, Next::TryAgain { .. }).then(|| self.decision.next.clone())
    }
}

impl DeliveryLine {
    /// Goes on where rows that cannot be read were all that was found, until there is a batch or nothing is left.
    pub(super) async fn claim(&self, message: ClaimBatches) -> Answer<Claimed> {
        let mut set_aside = 0;
        loop {
            let mut answer = ask_within(&self.claim, message.clone(), WRITE_PATIENCE).await?;
            if let Ok(claimed) = &mut answer {
                set_aside += claimed.unreadable;
                if claimed.batches.is_empty() && claimed.unreadable > 0 {
                    continue;
                }
                claimed.unreadable = set_aside;
            }
            return Ok(answer);
        }
    }

    pub(super) async fn begin(&self, message: BeginAttempt) -> Answer<Option<Batch>> {
        ask_within(&self.begin, message, WRITE_PATIENCE).await
    }

    pub(super) async fn take_over(&self) -> Answer<Vec<IdempotencyKey>> {
        ask_within(&self.take_over, TakeOver, WRITE_PATIENCE).await
    }

    pub(super) async fn judge(&self, message: JudgeSuspects) -> Answer<Settled> {
        ask_within(&self.judge, message, WRITE_PATIENCE).await
    }

    pub(super) async fn remember(&self, fact: Fact, value: Option<String>) -> Answer<()> {
        ask_within(&self.remember, Remember { fact, value }, WRITE_PATIENCE).await
    }

    /// Sends the batch once, lets `decide` judge the outcome, and settles it. It is under way when this returns.
    ///
    /// # Errors
    /// In words, when a part of the service failed before there was an outcome; the manifest then tells the next pass.
    pub(super) fn deliver<D>(
        &self,
        batch: &Batch,
        timeout: Duration,
        span: &Span,
        decide: D,
    ) -> impl Future<Output = Result<Delivered, String>> + use<D>
    where
        D: FnOnce(&UploadOutcome) -> Decision + 'static,
    {
        let upload = UploadBatch {
            key: batch.manifest.key.clone(),
            body: Arc::clone(&batch.body),
            readings: batch.len(),
            repeated: batch.manifest.is_repeated(),
            timeout,
            span: span.clone(),
        };
        let epoch = batch.manifest.epoch;
        let task: JoinHandle<_> =
            actix::spawn(self.clone().upload_and_settle(upload, epoch, decide));
        async {
            task.await
                .unwrap_or_else(|failure| Err(format!("a delivery failed: {failure}")))
        }
    }

    async fn upload_and_settle(
        self,
        upload: UploadBatch,
        epoch: u32,
        decide: impl FnOnce(&UploadOutcome) -> Decision,
    ) -> Result<Delivered, String> {
        let (key, patience) = (upload.key.clone(), upload.timeout + UPLOAD_MARGIN);
        let readings = upload.readings;
        let begun = self.clock.elapsed();
        let outcome = ask_within(&self.upload, upload, patience)
            .await
            .map_err(|error| error.to_string())?;
        let took = self.clock.elapsed().saturating_sub(begun);
        self.failure_points.pass("sync_manager.delivery");
        let decision = decide(&outcome);
        let settled = match &decision.settlement {
            Some(settlement) => self.settle(key, epoch, readings, settlement).await,
            None => Ok(Settled::default()),
        };
        Ok(Delivered {
            outcome,
            took,
            decision,
            settled,
        })
    }

    /// Tries once more to write down what could not be.
    pub(super) async fn settle_again(&self, open: Open) -> (Attempt, Delivered) {
        let Open {
            attempt,
            mut delivered,
            ..
        } = open;
        if let Some(settlement) = &delivered.decision.settlement {
            let manifest = &attempt.batch.manifest;
            let (key, epoch) = (manifest.key.clone(), manifest.epoch);
            let readings = attempt.batch.len();
            delivered.settled = self.settle(key, epoch, readings, settlement).await;
        }
        (attempt, delivered)
    }

    /// A definite outcome is worth many tries: only the commit makes it count.
    ///
    /// # Errors
    /// In words, why it could not be written down; the outcome itself stays known to the API client.
    pub(super) async fn settle(
        &self,
        key: IdempotencyKey,
        epoch: u32,
        readings: usize,
        settlement: &Settlement,
    ) -> Result<Settled, String> {
        let (mut last, mut refusals) = (String::new(), 0);
        for failures in 1..=SETTLE_TRIES {
            let message = SettleBatch {
                key: key.clone(),
                epoch,
                readings,
                settlement: settlement.clone(),
            };
            match ask_within(&self.settle, message, WRITE_PATIENCE).await {
                Ok(Ok(settled)) => return Ok(settled),
                Ok(Err(error)) => {
                    last = error.to_string();
                    refusals += 1;
                }
                Err(error) => last = error.to_string(),
            }
            if refusals == SETTLE_REFUSALS {
                break;
            }
            tracing::debug!(%key, failures, reason = last, "an outcome could not be written down yet");
            self.clock.sleep(SETTLE_BACKOFF.delay(failures)).await;
        }
        tracing::warn!(%key, reason = last, "an outcome could not be written down; that is tried again later");
        Err(last)
    }
}
