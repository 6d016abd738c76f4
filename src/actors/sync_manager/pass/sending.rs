//! Sends a batch until its fate is decided, and draws the conclusions for the batches behind it.

use std::{future::Future, time::Duration};

use super::{Pass, Source, refuses_everything};
use crate::{
    actors::sync_manager::{
        decision::{Next, Tries, cut_off, decide},
        delivery::Delivered,
        isolation::Verdict,
        kit::{Broken, PARKED_TIMEOUT_FACTOR},
    },
    domain::{
        backoff::extend,
        batch::{Batch, IdempotencyKey, Settlement},
        outcome::UploadOutcome,
        pass::PassEnd,
        store::Fact,
    },
    messages::database_writer::JudgeSuspects,
};

impl Pass {
    /// Sends a batch until its fate is decided. Returns the pass's end where it has to end.
    pub(super) async fn deliver(
        &mut self,
        batch: Batch,
        source: Source,
    ) -> Result<Option<PassEnd>, Broken> {
        self.get_on();
        let delivered = self.exchange(&batch, source, 0).await?;
        self.see_through(batch, source, delivered).await
    }

    /// The same for a batch that was sent once, with what that brought.
    pub(super) async fn see_through(
        &mut self,
        mut batch: Batch,
        source: Source,
        mut delivered: Delivered,
    ) -> Result<Option<PassEnd>, Broken> {
        let mut failures = 0;
        loop {
            self.note_time(&delivered.outcome, batch.len(), delivered.took)
                .await?;
            let Some(Next::TryAgain { wait, sent }) = delivered.try_again() else {
                return self.after_settlement(&batch, source, delivered).await;
            };
            // A pause that the server asked for before this try is no failure of the batch.
            failures += u32::from(!matches!(delivered.outcome, UploadOutcome::Held(_)));
            let wait = extend(wait, rand::random()).max(self.kit.until_turn());
            if let Some(end) = self.wait(wait).await {
                self.cut_short(&batch, &delivered, &end).await?;
                return Ok(Some(end));
            }
            if sent {
                match self.begin(batch.manifest.key.clone()).await? {
                    Some(again) => batch = again,
                    None => return Ok(None),
                }
            }
            self.get_on();
            delivered = self.exchange(&batch, source, failures).await?;
        }
    }

    /// The pass ends before the batch is sent again.
    pub(super) async fn cut_short(
        &self,
        batch: &Batch,
        delivered: &Delivered,
        end: &PassEnd,
    ) -> Result<(), Broken> {
        let was_sent = matches!(delivered.decision.next, Next::TryAgain { sent: true, .. });
        if was_sent && matches!(end, PassEnd::Offline { .. }) {
            let failed_passes = batch.manifest.failed_passes;
            let settlement = cut_off(delivered.outcome.describe(), failed_passes);
            self.settle(batch, &settlement).await?;
            self.count(|progress| progress.failed += batch.len() as u64);
        }
        Ok(())
    }

    /// Sends a batch once. It is under way when this returns, and goes on when nobody waits for it.
    pub(super) fn exchange(
        &self,
        batch: &Batch,
        source: Source,
        failures: u32,
    ) -> impl Future<Output = Result<Delivered, Broken>> + use<> {
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
        let delivery = self
            .kit
            .line
            .deliver(batch, timeout, &self.kit.span, decide);
        async { delivery.await.map_err(Broken::Delivery) }
    }

    pub(super) async fn after_settlement(
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
    pub(super) async fn note_time(
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

    pub(super) async fn condemn(&self, root: Option<IdempotencyKey>) -> Result<(), Broken> {
        let settled = self.kit.line.judge(JudgeSuspects::Condemn(root)).await??;
        self.count(|progress| progress.quarantined += settled.quarantined);
        Ok(())
    }
}
