//! Claims pending readings as a batch: its manifest, body included, is durable before the first byte is sent.

use async_trait::async_trait;

use super::{
    DatabaseWriterParts,
    ahead::{Built, build},
    group::Changes,
    operations::{WriteOperation, new_key, now},
};
use crate::{
    domain::{
        batch::{Batch, ClaimOrder, Manifest, ManifestState},
        store::StoreError,
    },
    messages::database_writer::{ClaimBatch, Claimed},
    storage::{ForeignMark, StoreTransaction},
};

#[async_trait(?Send)]
impl WriteOperation for ClaimBatch {
    type Reply = Claimed;

    fn goes_first(&self) -> bool {
        true
    }

    async fn apply(
        &self,
        transaction: &mut dyn StoreTransaction,
        parts: &DatabaseWriterParts,
    ) -> Result<(Claimed, Changes), StoreError> {
        let mark = match self.order {
            ClaimOrder::Oldest => transaction.foreign_mark().await?,
            ClaimOrder::After(_) => None,
        };
        let ahead = match mark {
            Some(mark) => parts.ahead.take(transaction, self.limit, mark).await?,
            None => None,
        };
        let mut claim = Claim {
            unreadable: 0,
            changes: Changes::default(),
        };
        let built = match ahead {
            Some(built) => Some(built),
            None => claim.build(self, transaction, parts).await?,
        };
        if let (Some(built), Some(mark)) = (&built, mark) {
            read_on(self, built, mark, parts);
        }
        let batch = match built {
            Some(built) => Some(claim.write(built, transaction, parts).await?),
            None => None,
        };
        let claimed = Claimed {
            batch,
            unreadable: claim.unreadable,
        };
        Ok((claimed, claim.changes))
    }
}

/// What a claim has brought so far.
struct Claim {
    unreadable: u64,
    changes: Changes,
}

impl Claim {
    /// A batch of what is pending; sets aside what cannot be read. None where nothing is left.
    async fn build(
        &mut self,
        message: &ClaimBatch,
        transaction: &mut dyn StoreTransaction,
        parts: &DatabaseWriterParts,
    ) -> Result<Option<Built>, StoreError> {
        loop {
            let rows = transaction.claimable(message.order, message.limit).await?;
            if rows.is_empty() {
                return Ok(None);
            }
            let built = build(rows, parts.compression()).await?;
            if !built.unreadable.is_empty() {
                let entries = &built.unreadable;
                self.unreadable += transaction.quarantine(entries, now(parts)).await?;
                self.changes
                    .removed
                    .push(entries.iter().map(|entry| entry.reading_id).collect());
                self.changes.bookkeeping = true;
                self.changes.quarantine = true;
            }
            // Rows that were all unreadable have made room for the next ones.
            if !built.reading_ids.is_empty() {
                return Ok(Some(built));
            }
        }
    }

    async fn write(
        &mut self,
        built: Built,
        transaction: &mut dyn StoreTransaction,
        parts: &DatabaseWriterParts,
    ) -> Result<Batch, StoreError> {
        let key = new_key();
        let manifest = Manifest {
            root: key.clone(),
            key,
            reading_ids: built.reading_ids,
            // The manifest is durable before the first byte is sent, so from here on it may have been.
            attempts: 1,
            failed_passes: 0,
            state: ManifestState::Live,
            last_error: None,
            last_status: None,
            claimed_at: now(parts),
            epoch: 0,
        };
        let batch = Batch {
            manifest,
            body: built.body,
        };
        transaction.insert_manifest(&batch).await?;
        self.changes.bookkeeping = true;
        self.changes.claimed_through = batch.manifest.reading_ids.iter().last();
        Ok(batch)
    }
}

/// A full batch is followed by another one, most likely.
fn read_on(message: &ClaimBatch, built: &Built, mark: ForeignMark, parts: &DatabaseWriterParts) {
    if built.rows == message.limit
        && let Some(last) = built.reading_ids.iter().last()
    {
        parts.ahead.begin(parts, last, message.limit, mark);
    }
}
