//! What each message changes in the Sync Database, but for claiming and settling, which have files of their own.

use async_trait::async_trait;
use uuid::Uuid;

use super::{DatabaseWriterParts, group::Changes};
use crate::{
    domain::{
        batch::{Batch, IdempotencyKey, ManifestState},
        meter::MeterChanges,
        store::{Fact, Ingested, QuarantineActionResult, StoreError},
        timestamp::Timestamp,
    },
    messages::database_writer::{
        ApplyMeters, BeginAttempt, CorrectQuarantined, DiscardQuarantined, InsertReadings,
        Remember, RequeueQuarantined, TakeOver,
    },
    storage::StoreTransaction,
};

/// A message that is a change of the Sync Database.
#[async_trait(?Send)]
pub trait WriteOperation: 'static {
    /// What the asker gets once the change is durable.
    type Reply: 'static;

    /// Whether it has to be the first in its transaction: it waits for other instances, which must not happen
    /// while rows are locked that they may wait for.
    fn goes_first(&self) -> bool {
        false
    }

    /// About how many rows it writes; bounds what shares a transaction.
    fn weight(&self) -> usize {
        1
    }

    /// Whether it brings something in that was not there, which a full disk has no room for.
    fn adds(&self) -> bool {
        false
    }

    /// What it writes, in a word: one of few, for a metric's label.
    fn kind(&self) -> &'static str {
        "other"
    }

    /// Waits for what is under way elsewhere, before the transaction begins and others wait as well.
    async fn prepare(&self, _parts: &DatabaseWriterParts) {}

    /// Carries the change out within a transaction that others may share.
    async fn apply(
        &self,
        transaction: &mut dyn StoreTransaction,
        parts: &DatabaseWriterParts,
    ) -> Result<(Self::Reply, Changes), StoreError>;
}

/// A key for a batch that was never sent.
pub(super) fn new_key() -> IdempotencyKey {
    IdempotencyKey(Uuid::now_v7().to_string())
}

pub(super) fn now(parts: &DatabaseWriterParts) -> Timestamp {
    parts.clock.now().into()
}

#[async_trait(?Send)]
impl WriteOperation for InsertReadings {
    type Reply = Ingested;

    fn weight(&self) -> usize {
        self.readings.len()
    }

    fn adds(&self) -> bool {
        true
    }

    fn kind(&self) -> &'static str {
        "insert"
    }

    async fn apply(
        &self,
        transaction: &mut dyn StoreTransaction,
        parts: &DatabaseWriterParts,
    ) -> Result<(Ingested, Changes), StoreError> {
        let ingested = transaction
            .insert_readings(&self.readings, self.key.as_deref(), now(parts))
            .await?;
        self.span.in_scope(|| {
            tracing::debug!(
                readings = ingested.count,
                repeated = ingested.repeated,
                "readings were written"
            )
        });
        let changes = Changes {
            inserted: !ingested.repeated,
            ..Changes::default()
        };
        Ok((ingested, changes))
    }
}

#[async_trait(?Send)]
impl WriteOperation for TakeOver {
    type Reply = Vec<IdempotencyKey>;

    fn goes_first(&self) -> bool {
        true
    }

    async fn apply(
        &self,
        transaction: &mut dyn StoreTransaction,
        _: &DatabaseWriterParts,
    ) -> Result<(Vec<IdempotencyKey>, Changes), StoreError> {
        let changes = Changes {
            bookkeeping: true,
            ..Changes::default()
        };
        Ok((transaction.take_over().await?, changes))
    }
}

#[async_trait(?Send)]
impl WriteOperation for BeginAttempt {
    type Reply = Option<Batch>;

    fn kind(&self) -> &'static str {
        "repeat"
    }

    async fn apply(
        &self,
        transaction: &mut dyn StoreTransaction,
        _: &DatabaseWriterParts,
    ) -> Result<(Option<Batch>, Changes), StoreError> {
        let Some(mut batch) = transaction.batch(&self.key).await? else {
            return Ok((None, Changes::default()));
        };
        let manifest = &mut batch.manifest;
        let repeated = manifest.attempts > 0;
        manifest.attempts += 1;
        if manifest.state == ManifestState::Part {
            manifest.state = ManifestState::Live;
        }
        transaction.update_manifest(manifest).await?;
        if repeated {
            let count = Fact::PossiblyDoubledUploads;
            transaction.add_to_fact(count, 1).await?;
        }
        Ok((
            Some(batch),
            Changes {
                bookkeeping: true,
                possibly_doubled: u64::from(repeated),
                ..Changes::default()
            },
        ))
    }
}

#[async_trait(?Send)]
impl WriteOperation for Remember {
    type Reply = ();

    async fn apply(
        &self,
        transaction: &mut dyn StoreTransaction,
        _: &DatabaseWriterParts,
    ) -> Result<((), Changes), StoreError> {
        transaction
            .remember(self.fact, self.value.as_deref())
            .await?;
        Ok(((), Changes::default()))
    }
}

#[async_trait(?Send)]
impl WriteOperation for ApplyMeters {
    type Reply = MeterChanges;

    async fn apply(
        &self,
        transaction: &mut dyn StoreTransaction,
        parts: &DatabaseWriterParts,
    ) -> Result<(MeterChanges, Changes), StoreError> {
        Ok((
            transaction.upsert_meters(&self.meters, now(parts)).await?,
            Changes::default(),
        ))
    }
}

#[async_trait(?Send)]
impl WriteOperation for RequeueQuarantined {
    type Reply = QuarantineActionResult;

    fn adds(&self) -> bool {
        true
    }

    async fn apply(
        &self,
        transaction: &mut dyn StoreTransaction,
        parts: &DatabaseWriterParts,
    ) -> Result<(QuarantineActionResult, Changes), StoreError> {
        let result = transaction
            .requeue(&self.filter, self.accept_double, now(parts))
            .await?;
        Ok((
            result,
            Changes {
                inserted: true,
                bookkeeping: true,
                quarantine: true,
                ..Changes::default()
            },
        ))
    }
}

#[async_trait(?Send)]
impl WriteOperation for CorrectQuarantined {
    type Reply = bool;

    async fn apply(
        &self,
        transaction: &mut dyn StoreTransaction,
        parts: &DatabaseWriterParts,
    ) -> Result<(bool, Changes), StoreError> {
        Ok((
            transaction
                .correct(self.id, &self.correction, now(parts))
                .await?,
            Changes::default(),
        ))
    }
}

#[async_trait(?Send)]
impl WriteOperation for DiscardQuarantined {
    type Reply = QuarantineActionResult;

    async fn apply(
        &self,
        transaction: &mut dyn StoreTransaction,
        parts: &DatabaseWriterParts,
    ) -> Result<(QuarantineActionResult, Changes), StoreError> {
        let result = transaction.discard(&self.filter, now(parts)).await?;
        Ok((
            result,
            Changes {
                bookkeeping: true,
                quarantine: true,
                ..Changes::default()
            },
        ))
    }
}
