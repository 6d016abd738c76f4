//! Sends a batch, and draws the conclusions for it and for those behind it.

use std::{future::Future, time::Duration};

use super::{Attempt, Pass, Source, refuses_everything, setbacks::Setbacks, troubles::Failed};
use crate::{
    actors::sync_manager::{
        decision::{Next, Tries, cut_off, decide},
        delivery::Delivered,
        isolation::Verdict,
        kit::{Broken, PARKED_TIMEOUT_FACTOR},
        unsettled::Open,
    },
    domain::{
        backoff::extend,
        batch::{Batch, IdempotencyKey, Settlement},
        outcome::UploadOutcome,
        pass::PassEnd,
        store::Fact,
        timestamp::Timestamp,
    },
    messages::database_writer::{JudgeSuspects, Settled},
};

impl Pass {
    /// Sends a batch once, and draws the conclusions. Returns the pass's end where it has to end.
    pub(super) async fn deliver(&mut self, attempt: Attempt) -> Result<Option<PassEnd>, Broken> {
        self.get_on();
        let delivered = self.exchange(&attempt).await?;
        self.take_in(attempt, delivered).await
    }

    /// Draws the conclusions from what a sending brought. Returns the pass's end where it has to end.
    pub(super) async fn take_in(
        &mut self,
        attempt: Attempt,
        delivered: Delivered,
    ) -> Result<Option<PassEnd>, Broken> {
        let Delivered { outcome, took, .. } = &delivered;
        self.note_time(outcome, attempt.batch.len(), *took).await?;
        if let Some(Next::TryAgain { wait, sent }) = delivered.try_again() {
            self.fail(attempt, outcome, wait, sent);
            return Ok(None);
        }
        if is_well(&delivered) && attempt.source != Source::Parked {
            let is_wanted = !self.claimed.is_empty() || !self.repeats.is_empty();
            self.window.accepted(delivered.took, is_wanted);
        }
        self.take_settled(attempt, delivered).await
    }

    /// Draws the conclusions once they are written down, and sets aside what could not be. Returns the pass's end where it
    /// has to end.
    pub(super) async fn take_settled(
        &mut self,
        attempt: Attempt,
        delivered: Delivered,
    ) -> Result<Option<PassEnd>, Broken> {
        match delivered.settled.clone() {
            Ok(settled) => self.after_settlement(attempt, delivered, settled).await,
            Err(words) if delivered.decision.next == Next::GoOn => {
                self.troubles.lay();
                self.no_more_set_back(&attempt.batch.manifest.key);
                self.kit.unsettled.set_aside(Open {
                    attempt,
                    delivered,
                    words,
                });
                self.tell_unsettled();
                Ok(None)
            }
            // Its manifest stays as it is, so that the next pass repeats it: the others need not wait for that.
            Err(words) if matches!(delivered.decision.next, Next::End(PassEnd::GivenUp { .. })) => {
                self.give_up_for_now(&attempt.batch, words);
                Ok(None)
            }
            Err(words) => Err(Broken::Delivery(words)),
        }
    }

    /// What could not be written down, where it is time to try that again.
    pub(super) fn next_unsettled(&self) -> Option<Open> {
        self.kit.unsettled.next_due(self.kit.clock.elapsed())
    }

    pub(super) async fn settle_again(&mut self, open: Open) -> Result<Option<PassEnd>, Broken> {
        self.get_on();
        let (attempt, delivered) = self.kit.line.settle_again(open).await;
        self.take_settled_again(attempt, delivered).await
    }

    pub(super) async fn take_settled_again(
        &mut self,
        attempt: Attempt,
        delivered: Delivered,
    ) -> Result<Option<PassEnd>, Broken> {
        if delivered.settled.is_ok() {
            self.kit.unsettled.hurry();
            self.tell_unsettled();
        }
        self.take_settled(attempt, delivered).await
    }

    fn fail(&mut self, mut attempt: Attempt, outcome: &UploadOutcome, wait: Duration, sent: bool) {
        self.window.failed();
        // A pause that the server asked for before this try is no failure of the batch.
        attempt.failures += u32::from(!matches!(outcome, UploadOutcome::Held(_)));
        attempt.may_be_stored = !outcome.may_be_passing() && (sent || attempt.may_be_stored);
        // Where nothing was sent, the next one would not be either.
        self.troubles.raise(&attempt.batch.manifest.key, sent);
        let (wait, words) = (extend(wait, rand::random()), outcome.describe());
        self.set_back(&attempt.batch.manifest.key, words.clone(), Some(wait));
        self.troubles.wait(Failed {
            attempt,
            due_at: self.kit.clock.elapsed() + wait,
            sent,
            words,
        });
    }

    /// Notes what the last sending of a batch brought, and after what time it is sent again.
    fn set_back(&self, key: &IdempotencyKey, words: String, wait: Option<Duration>) {
        let now = Timestamp::from(self.kit.clock.now());
        let again_at = wait.map(|wait| now.later_by(wait));
        let mut setbacks = self.setbacks.borrow_mut();
        setbacks.note(key, words, again_at, now);
        self.tell(&setbacks);
    }

    /// The batch is dealt with, or set aside for later.
    pub(super) fn no_more_set_back(&self, key: &IdempotencyKey) {
        let mut setbacks = self.setbacks.borrow_mut();
        setbacks.settle(key);
        self.tell(&setbacks);
    }

    fn tell(&self, setbacks: &Setbacks) {
        (self.kit.on_setback)(setbacks.longest().cloned());
    }

    /// The pass ends before the batch is sent again. It counts as one in which the batch was given up, unless something
    /// else than failures ended it.
    pub(super) async fn cut_short(&self, failed: &Failed, end: &PassEnd) -> Result<(), Broken> {
        if failed.sent && matches!(end, PassEnd::Offline { .. } | PassEnd::GivenUp { .. }) {
            let batch = &failed.attempt.batch;
            let settlement = cut_off(failed.words.clone(), batch.manifest.failed_passes);
            self.settle(batch, &settlement).await?;
            self.count(|progress| progress.failed += batch.len() as u64);
        }
        Ok(())
    }

    /// Sends a batch once. It is under way when this returns, and goes on when nobody waits for it.
    pub(super) fn exchange(
        &self,
        attempt: &Attempt,
    ) -> impl Future<Output = Result<Delivered, Broken>> + use<> {
        self.count(|progress| progress.requests += 1);
        let (batch, failures) = (&attempt.batch, attempt.failures);
        let may_be_stored = attempt.may_be_stored;
        let timeout = if attempt.source == Source::Parked {
            self.kit.timeout * PARKED_TIMEOUT_FACTOR
        } else {
            self.kit.timeout
        };
        let (clock, max_retries) = (self.kit.clock.clone(), self.kit.limits.get().max_retries);
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
                    may_be_stored,
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

    async fn after_settlement(
        &mut self,
        attempt: Attempt,
        delivered: Delivered,
        settled: Settled,
    ) -> Result<Option<PassEnd>, Broken> {
        let Attempt { batch, source, .. } = attempt;
        let mut failed = 0;
        let is_given_up = match &delivered.decision.settlement {
            Some(Settlement::GiveUp { words, .. }) => {
                failed = batch.len() as u64;
                self.given_up = Some(words.clone());
                true
            }
            _ => false,
        };
        self.count(|progress| {
            progress.delivered += settled.delivered;
            progress.quarantined += settled.quarantined;
            progress.failed += failed;
        });
        if let Some(end) = self
            .isolate(&batch, source, &delivered.outcome, settled)
            .await?
        {
            return Ok(Some(end));
        }
        match delivered.decision.next {
            Next::End(PassEnd::GivenUp { words }) if is_given_up => {
                self.give_up_for_now(&batch, words);
            }
            Next::End(end) => return Ok(Some(end)),
            Next::GoOn => {
                if !is_given_up {
                    self.troubles.lay();
                }
                self.no_more_set_back(&batch.manifest.key);
            }
            Next::TryAgain { .. } => {}
        }
        Ok(None)
    }

    /// Whether this ends the pass depends on how another batch fares.
    fn give_up_for_now(&mut self, batch: &Batch, words: String) {
        self.window.failed();
        self.troubles.raise(&batch.manifest.key, true);
        self.given_up.get_or_insert_with(|| words.clone());
        self.set_back(&batch.manifest.key, words, None);
    }

    async fn isolate(
        &mut self,
        batch: &Batch,
        source: Source,
        outcome: &UploadOutcome,
        settled: Settled,
    ) -> Result<Option<PassEnd>, Broken> {
        let was_part = source == Source::Part;
        let Settled {
            parts, suspects, ..
        } = settled;
        match outcome {
            UploadOutcome::Stored | UploadOutcome::PartlyStored { .. } => self.accepted().await?,
            UploadOutcome::TooLarge(_) if batch.len() > 1 => {
                self.size.too_large(batch.len());
                let root = &batch.manifest.root;
                self.isolation.split_for_size(root, parts, was_part);
            }
            UploadOutcome::TooLarge(words) | UploadOutcome::Refused { words, .. } => {
                let root = &batch.manifest.root;
                if !was_part {
                    self.isolation.begin(root, &batch.manifest.reading_ids);
                }
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
        let has_suspects = self.isolation.accepted();
        if let Some(ids) = self.isolation.news() {
            let ids = Some(ids.encode());
            self.kit.line.remember(Fact::PartlyTaken, ids).await??;
        }
        if !has_suspects {
            return Ok(());
        }
        let roots = self.isolation.suspected();
        let known = self.kit.unsettled.to_condemn();
        // What keeps the rows of some is not waited for again and again.
        if roots.iter().any(|root| !known.contains(root)) {
            self.judge(JudgeSuspects::Condemn(None), roots).await?;
        }
        self.isolation.condemned();
        Ok(())
    }

    /// Sets the suspects of this batch aside.
    pub(super) async fn condemn(&self, root: IdempotencyKey) -> Result<(), Broken> {
        let judgement = JudgeSuspects::Condemn(Some(root.clone()));
        self.judge(judgement, vec![root]).await
    }

    /// Sets the suspects of these batches aside. The others need not wait for what keeps their rows: then they stay
    /// suspects, and a later pass tries again.
    async fn judge(
        &self,
        judgement: JudgeSuspects,
        roots: Vec<IdempotencyKey>,
    ) -> Result<(), Broken> {
        match self.kit.line.judge(judgement).await? {
            Ok(settled) => {
                self.count(|progress| progress.quarantined += settled.quarantined);
                for root in &roots {
                    self.kit.unsettled.condemned(root);
                }
            }
            Err(error) => {
                let reason = error.to_string();
                tracing::warn!(
                    reason,
                    "bad readings could not be set aside; that is tried again later"
                );
                self.kit.unsettled.condemn_later(roots, &reason);
            }
        }
        self.tell_unsettled();
        Ok(())
    }

    pub(super) fn tell_unsettled(&self) {
        (self.kit.on_unsettled)(self.kit.unsettled.describe());
    }
}

/// Whether a batch is done, and its outcome says nothing about those behind it.
fn is_well(delivered: &Delivered) -> bool {
    let is_taken = matches!(
        delivered.outcome,
        UploadOutcome::Stored | UploadOutcome::PartlyStored { .. } | UploadOutcome::Doubtful { .. }
    );
    is_taken && delivered.decision.next == Next::GoOn
}
