//! Claims pending readings as batches: their manifests, bodies included, are durable before the first byte is sent.

use async_trait::async_trait;

use super::{
    DatabaseWriterParts,
    ahead::{Built, Manner, build},
    group::Changes,
    operations::{WriteOperation, new_key, now},
};
use crate::{
    domain::{
        batch::{Batch, ClaimOrder, Manifest, ManifestState},
        reading_ids::ReadingIds,
        store::StoreError,
    },
    messages::database_writer::{ClaimBatches, Claimed},
    storage::{ForeignMark, QuarantineEntry, RowVersions, StoreTransaction},
};

#[async_trait(?Send)]
impl WriteOperation for ClaimBatches {
    type Reply = Claimed;

    fn goes_first(&self) -> bool {
        true
    }

    fn kind(&self) -> &'static str {
        "claim"
    }

    async fn prepare(&self, parts: &DatabaseWriterParts) {
        parts.ahead.ready().await;
    }

    async fn apply(
        &self,
        transaction: &mut dyn StoreTransaction,
        parts: &DatabaseWriterParts,
    ) -> Result<(Claimed, Changes), StoreError> {
        let mark = transaction.foreign_mark().await?;
        let mark_ahead = mark.filter(|_| self.order == ClaimOrder::Oldest);
        let mut claim = Claim {
            mark,
            unreadable: 0,
            changes: Changes::default(),
        };
        let mut built = match mark_ahead {
            Some(mark) => {
                let now = parts.clock.elapsed();
                parts.ahead.take(transaction, self, mark, now).await?
            }
            None => Vec::new(),
        };
        if built.is_empty() {
            built = claim.build(self, transaction, parts).await?;
        }
        if let (Some(last), Some(mark)) = (built.last(), mark_ahead) {
            read_on(self, last, mark, parts);
        }
        note_last_readings(self, &mut built, transaction, parts).await?;
        let batches = claim.write(built, transaction, parts).await?;
        let claimed = Claimed {
            batches,
            unreadable: claim.unreadable,
        };
        Ok((claimed, claim.changes))
    }
}

/// What a claim has brought so far.
struct Claim {
    mark: Option<ForeignMark>,
    unreadable: u64,
    changes: Changes,
}

impl Claim {
    /// Batches of what is pending; sets aside what cannot be read. None where nothing is left, and where rows were set aside
    /// without any that can be read beside them: however many there are, other programs get their turn in between.
    async fn build(
        &mut self,
        message: &ClaimBatches,
        transaction: &mut dyn StoreTransaction,
        parts: &DatabaseWriterParts,
    ) -> Result<Vec<Built>, StoreError> {
        let mut order = message.order;
        let most = message.limit.saturating_mul(self.batches_at_once(message));
        loop {
            let rows = transaction.claimable(order, most).await?;
            let Some(last) = rows.last().map(|row| row.id) else {
                return Ok(Vec::new());
            };
            let mut batches = Vec::new();
            let mut rows = rows.into_iter();
            while rows.len() > 0 {
                let rows = rows.by_ref().take(message.limit).collect();
                let built = build(rows, Manner::now(parts)).await?;
                if !built.unreadable.is_empty() {
                    self.set_aside(&built.unreadable, transaction, parts)
                        .await?;
                }
                if !built.reading_ids.is_empty() {
                    batches.push(built);
                }
            }
            if !batches.is_empty() || self.unreadable > 0 {
                return Ok(batches);
            }
            // Something keeps them where they are.
            order = ClaimOrder::After(last);
        }
    }

    /// Where nothing can be built ahead, a transaction is worth several batches: most of what a claim costs is said to a
    /// server once.
    fn batches_at_once(&self, message: &ClaimBatches) -> usize {
        match (self.mark, message.order) {
            (None, ClaimOrder::Oldest) => message.most,
            _ => 1,
        }
    }

    /// Moves unreadable rows to quarantine. Where something keeps them in the queue, the readings beside them leave without
    /// them.
    async fn set_aside(
        &mut self,
        unreadable: &[QuarantineEntry],
        transaction: &mut dyn StoreTransaction,
        parts: &DatabaseWriterParts,
    ) -> Result<(), StoreError> {
        transaction.set_savepoint().await?;
        let moved = match transaction.quarantine(unreadable, now(parts)).await {
            Err(StoreError::Busy(words) | StoreError::Failed(words)) => {
                transaction.return_to_savepoint().await?;
                tracing::warn!(
                    reason = words,
                    "{} rows that cannot be read could not be set aside; they stay in the queue, and that is tried again later",
                    unreadable.len()
                );
                return Ok(());
            }
            moved => moved?,
        };
        if !moved.is_empty() {
            self.unreadable += moved.len() as u64;
            self.changes.removed.push(moved);
            self.changes.bookkeeping = true;
            self.changes.quarantine = true;
        }
        Ok(())
    }

    async fn write(
        &mut self,
        built: Vec<Built>,
        transaction: &mut dyn StoreTransaction,
        parts: &DatabaseWriterParts,
    ) -> Result<Vec<Batch>, StoreError> {
        let (mut batches, mut versions) = (Vec::new(), Vec::new());
        for built in built {
            let marked = self.mark.map(RowVersions::AllAt);
            let known = marked.or(built.writers.map(RowVersions::WrittenBy));
            versions.push(known.map(|versions| (versions, built.digest)));
            batches.push(Batch {
                manifest: manifest(built.reading_ids, parts),
                body: built.body,
            });
        }
        let Some(last) = batches.last() else {
            return Ok(batches);
        };
        self.changes.bookkeeping = true;
        self.changes.claimed_through = last.manifest.reading_ids.last();
        transaction.insert_manifests(&batches).await?;
        for (batch, versions) in batches.iter().zip(versions) {
            if let Some((versions, digest)) = versions {
                parts.as_read.note(&batch.manifest, versions, digest);
            }
        }
        Ok(batches)
    }
}

fn manifest(reading_ids: ReadingIds, parts: &DatabaseWriterParts) -> Manifest {
    let key = new_key();
    Manifest {
        root: key.clone(),
        key,
        reading_ids,
        // The manifest is durable before the first byte is sent, so from here on it may have been.
        attempts: 1,
        failed_passes: 0,
        state: ManifestState::Live,
        last_error: None,
        last_status: None,
        claimed_at: now(parts),
        epoch: 0,
    }
}

async fn note_last_readings(
    message: &ClaimBatches,
    built: &mut [Built],
    transaction: &mut dyn StoreTransaction,
    parts: &DatabaseWriterParts,
) -> Result<(), StoreError> {
    let more_follow = built.last().is_some_and(|last| last.rows == message.limit);
    for built in built {
        parts.last_readings.note(std::mem::take(&mut built.newest));
    }
    let now = parts.clock.elapsed();
    match parts.last_readings.take_if_due(more_follow, now) {
        // What room is left is for emptying the queue.
        Some(_) if parts.store.reserve_is_in_use() => Ok(()),
        Some(newest) => transaction.note_last_readings(&newest).await,
        None => Ok(()),
    }
}

/// A full batch is followed by others, most likely.
fn read_on(message: &ClaimBatches, last: &Built, mark: ForeignMark, parts: &DatabaseWriterParts) {
    if last.rows == message.limit
        && let Some(last) = last.reading_ids.last()
    {
        parts.ahead.begin(parts, message, last, mark);
    }
}
