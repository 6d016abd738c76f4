//! Where the next batch comes from: what is repeated comes first, and what is parked last.

use super::{
    Attempt, Pass, Source, TAKE_OVER_EVERY, bounds,
    troubles::{Failed, Wanted},
};
use crate::{
    actors::sync_manager::kit::Broken,
    domain::{
        batch::{Batch, ClaimOrder, IdempotencyKey},
        reading::ReadingId,
    },
    messages::database_writer::{BeginAttempt, ClaimBatches, Claimed},
};

/// With so many batches open already, no new one is claimed to see whether the Client System takes it: an outage is not to
/// leave more behind.
const MOST_OPEN: usize = 32;
/// With so many parts of refused batches waiting, these are sent before the next batch is claimed.
const MOST_PARTS: usize = 64;

impl Pass {
    /// An instance that dies while the others drain a long backlog is not waited for until its end.
    pub(super) async fn take_over_if_due(&mut self) -> Result<(), Broken> {
        let now = self.kit.clock.elapsed();
        if now >= self.take_over_at {
            self.take_over_at = now + TAKE_OVER_EVERY;
            self.repeats.extend(self.kit.line.take_over().await??);
        }
        Ok(())
    }

    pub(super) async fn next_attempt(&mut self) -> Result<Option<Attempt>, Broken> {
        self.take_over_if_due().await?;
        if let Some(attempt) = self.sent_before().await? {
            return Ok(Some(attempt));
        }
        let batch = match self.in_turn().await? {
            None => self.begin_first(Source::Parked).await?,
            batch => batch,
        };
        Ok(batch.map(Attempt::first))
    }

    /// What failed in this pass and is due again, or was left open by an earlier one.
    pub(super) async fn sent_before(&mut self) -> Result<Option<Attempt>, Broken> {
        match self.failed_before().await? {
            None => {
                let repeat = self.begin_first(Source::Repeat).await?;
                Ok(repeat.map(Attempt::first))
            }
            attempt => Ok(attempt),
        }
    }

    /// What failed in this pass, may be tried again, and is due.
    pub(super) async fn failed_before(&mut self) -> Result<Option<Attempt>, Broken> {
        while let Some(failed) = self.troubles.next_due(self.kit.clock.elapsed()) {
            if let Some(attempt) = self.again(failed).await? {
                return Ok(Some(attempt));
            }
        }
        Ok(None)
    }

    /// Once the Client System has taken something, parked batches need not wait for the end of the queue: they have their own
    /// room.
    pub(super) async fn sent_before_or_parked(&mut self) -> Result<Option<Attempt>, Broken> {
        match self.sent_before().await? {
            None if self.window.is_tried() => {
                let parked = self.begin_first(Source::Parked).await?;
                Ok(parked.map(Attempt::first))
            }
            attempt => Ok(attempt),
        }
    }

    /// Another batch to try while the Client System is in doubt, where that is wanted now.
    pub(super) async fn wanted_attempt(&mut self) -> Result<Option<Attempt>, Broken> {
        let now = self.kit.clock.elapsed();
        let Some(wanted) = self.troubles.wanted(now) else {
            return Ok(None);
        };
        let another = self.another(wanted).await?;
        let key = another.as_ref().map(|(batch, _)| &batch.manifest.key);
        self.troubles.ask_another(key, now);
        Ok(another.map(Attempt::first))
    }

    /// Another batch than those that failed: a new one, unless too many are open already. The newest readings have the
    /// least to do with what failed, and are to arrive soon.
    async fn another(&mut self, wanted: Wanted) -> Result<Option<(Batch, Source)>, Broken> {
        let parked = self.parked.len() + self.left_parked;
        let open = self.troubles.len() + self.repeats.len() + parked;
        let is_any = wanted == Wanted::Any;
        let mut batch = None;
        if open < MOST_OPEN {
            let fresh = self.claim_in(self.fresh.waiting(), 1);
            batch = self.claim_one(fresh).await?;
            if batch.is_none() && is_any {
                batch = self.claim().await?;
            }
        }
        match batch {
            Some(batch) => Ok(Some((batch, Source::Claim))),
            None if is_any => self.begin_first(Source::Repeat).await,
            None => Ok(None),
        }
    }

    /// Sends a failed batch again, unless its fate was decided meanwhile.
    async fn again(&self, failed: Failed) -> Result<Option<Attempt>, Broken> {
        let Failed {
            mut attempt, sent, ..
        } = failed;
        if sent {
            match self.begin(attempt.batch.manifest.key.clone()).await? {
                Some(batch) => attempt.batch = batch,
                None => {
                    self.no_more_set_back(&attempt.batch.manifest.key);
                    return Ok(None);
                }
            }
        }
        Ok(Some(attempt))
    }

    /// Parts and new batches take turns. Where every batch holds bad readings that would leave more and more parts, so
    /// there is an end to it; only fresh readings do not wait for it.
    async fn in_turn(&mut self) -> Result<Option<(Batch, Source)>, Broken> {
        let waiting = self.isolation.waiting();
        let is_too_much = waiting > MOST_PARTS && !self.fresh.is_on(self.kit.clock.elapsed());
        self.part_is_next = waiting > 0 && (!self.part_is_next || is_too_much);
        if self.part_is_next
            && let Some(batch) = self.begin_part().await?
        {
            return Ok(Some(batch));
        }
        match self.claim().await? {
            Some(batch) => Ok(Some((batch, Source::Claim))),
            None => self.begin_part().await,
        }
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

    pub(super) async fn begin(&self, key: IdempotencyKey) -> Result<Option<Batch>, Broken> {
        Ok(self.kit.line.begin(BeginAttempt { key }).await??)
    }

    /// What was claimed ahead waits for what is fresh.
    async fn claim(&mut self) -> Result<Option<Batch>, Broken> {
        loop {
            if self.cover.is_complete() {
                if let Some(batch) = self.claimed.pop_front() {
                    return Ok(Some(batch));
                }
                let bounds = self.kit.store.queue_bounds().await?;
                if !self.cover.look_back(bounds.lowest_pending) {
                    return Ok(None);
                }
            }
            let message = self.next_claim(1).await?;
            let is_last = message.order == ClaimOrder::Oldest;
            if is_last && let Some(batch) = self.claimed.pop_front() {
                return Ok(Some(batch));
            }
            let batch = self.claim_one(message).await?;
            if batch.is_some() || is_last {
                return Ok(batch);
            }
        }
    }

    async fn claim_one(&mut self, message: ClaimBatches) -> Result<Option<Batch>, Broken> {
        let order = message.order;
        let claimed = self.kit.line.claim(message).await??;
        let has_found = !claimed.batches.is_empty();
        self.take_claimed(order, claimed);
        Ok(if has_found {
            self.claimed.pop_back()
        } else {
            None
        })
    }

    /// What to claim next, in so many batches at most.
    pub(super) async fn next_claim(&mut self, most: usize) -> Result<ClaimBatches, Broken> {
        if self.kit.is_awaited.get() && !self.cover.is_asked() {
            let bounds = self.kit.store.queue_bounds().await?;
            self.cover.ask(bounds.highest);
        }
        let now = self.kit.clock.elapsed();
        if self.fresh.is_due(now) {
            let backlog_end = self.backlog_end().await?;
            self.fresh.begin(backlog_end, self.batch(), now);
        }
        let order = self.fresh.next();
        Ok(self.claim_in(order, most))
    }

    /// All that waits is old but the newest batch of it.
    pub(super) async fn backlog_end(&self) -> Result<ReadingId, Broken> {
        let bounds = self.kit.store.queue_bounds().await?;
        let end = bounds
            .highest
            .map(|highest| highest.saturating_sub(self.batch()));
        Ok(end.unwrap_or(0))
    }

    fn batch(&self) -> i64 {
        i64::try_from(self.kit.limits.get().batch_size).unwrap_or(i64::MAX)
    }

    fn claim_in(&mut self, order: ClaimOrder, most: usize) -> ClaimBatches {
        self.size.keep_to(bounds(&self.kit));
        ClaimBatches {
            order,
            limit: self.size.limit(self.kit.requests_are_scarce()),
            most,
        }
    }

    /// Takes in what a claim brought.
    pub(super) fn take_claimed(&mut self, order: ClaimOrder, claimed: Claimed) {
        self.count(|progress| progress.quarantined += claimed.unreadable);
        if order == ClaimOrder::Oldest {
            let first = claimed.batches.first();
            let oldest = first.and_then(|batch| batch.manifest.reading_ids.first());
            self.cover.claimed(oldest);
        } else {
            let ids = claimed
                .batches
                .last()
                .map(|batch| &batch.manifest.reading_ids);
            self.fresh.claimed(ids.and_then(|ids| ids.last()));
        }
        self.claimed.extend(claimed.batches);
    }
}
