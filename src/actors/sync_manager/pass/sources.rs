//! Where the next batch comes from: what is repeated comes first, and what is parked last.

use super::{Pass, Source, TAKE_OVER_EVERY};
use crate::{
    actors::sync_manager::kit::Broken,
    domain::batch::{Batch, ClaimOrder, IdempotencyKey},
    messages::database_writer::{BeginAttempt, ClaimBatches, Claimed},
};

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

    pub(super) async fn next_batch(&mut self) -> Result<Option<(Batch, Source)>, Broken> {
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

    pub(super) async fn begin(&self, key: IdempotencyKey) -> Result<Option<Batch>, Broken> {
        Ok(self.kit.line.begin(BeginAttempt { key }).await??)
    }

    /// What was claimed ahead waits for what is fresh.
    async fn claim(&mut self) -> Result<Option<Batch>, Broken> {
        loop {
            let message = self.next_claim(1);
            if message.order == ClaimOrder::Oldest
                && let Some(batch) = self.claimed.pop_front()
            {
                return Ok(Some(batch));
            }
            let claimed = self.kit.line.claim(message.clone()).await??;
            let has_found = !claimed.batches.is_empty();
            self.take_claimed(message.order, claimed);
            if has_found || message.order == ClaimOrder::Oldest {
                return Ok(self.claimed.pop_back());
            }
        }
    }

    /// What to claim next, in so many batches at most.
    pub(super) fn next_claim(&mut self, most: usize) -> ClaimBatches {
        ClaimBatches {
            order: self.fresh.next(self.kit.clock.elapsed()),
            limit: self.size.limit(self.kit.requests_are_scarce()),
            most,
        }
    }

    /// Takes in what a claim brought.
    pub(super) fn take_claimed(&mut self, order: ClaimOrder, claimed: Claimed) {
        self.count(|progress| progress.quarantined += claimed.unreadable);
        if order != ClaimOrder::Oldest {
            let ids = claimed
                .batches
                .last()
                .map(|batch| &batch.manifest.reading_ids);
            self.fresh.claimed(ids.and_then(|ids| ids.iter().last()));
        }
        self.claimed.extend(claimed.batches);
    }
}
