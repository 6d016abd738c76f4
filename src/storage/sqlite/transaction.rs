//! The write transaction: keeps the connection and hands every operation to the file that knows it.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use sqlx::{Sqlite, SqliteConnection, Transaction};

use super::{
    claims, cleanup, damage::Damage, facts, ingestion, log_room::LogRoom, manifests, meters,
    operation_log, place::Place, quarantine, requeue, samples, settlement,
};
use crate::{
    domain::{
        batch::{Batch, ClaimOrder, IdempotencyKey, Manifest, ManifestState},
        history::Sample,
        meter::{MeterChanges, MeterConfiguration},
        quarantine::{QuarantineCorrection, QuarantineFilter},
        reading::{RawReading, Reading},
        reading_ids::ReadingIds,
        timestamp::Timestamp,
    },
    storage::{
        Fact, ForeignMark, Ingested, QuarantineActionResult, QuarantineEntry, RowVersions,
        StoreError, StoreTransaction, StoredBatch,
    },
};

/// A transaction on the one write connection; rolled back when dropped, before the connection is used again.
pub(super) struct SqliteTransaction {
    /// None once it was lost with a thread that read from it.
    transaction: Option<Transaction<'static, Sqlite>>,
    has_savepoint: bool,
    /// Asked for once: nobody else commits before this transaction ends.
    mark: Option<ForeignMark>,
    damage: Arc<Damage>,
    place: Arc<Place>,
    log_room: Arc<LogRoom>,
    /// Whether the database grows by it.
    adds: bool,
    /// Set once SQLite may have ended the transaction by itself, so that nothing is committed piece by piece.
    is_lost: bool,
}

impl SqliteTransaction {
    /// Whether nobody else has committed anything since.
    async fn is_as_at(&mut self, versions: &RowVersions) -> Result<bool, StoreError> {
        let RowVersions::AllAt(mark) = versions else {
            return Ok(false);
        };
        Ok(self.foreign_mark().await? == Some(*mark))
    }

    /// Keeps a transaction that has begun.
    pub(super) fn new(
        transaction: Transaction<'static, Sqlite>,
        damage: Arc<Damage>,
        place: Arc<Place>,
        log_room: Arc<LogRoom>,
    ) -> Self {
        Self {
            transaction: Some(transaction),
            damage,
            place,
            log_room,
            adds: false,
            has_savepoint: false,
            mark: None,
            is_lost: false,
        }
    }

    fn connection(&mut self) -> Result<&mut SqliteConnection, StoreError> {
        if self.is_lost {
            return Err(lost());
        }
        Ok(self.transaction.as_mut().ok_or_else(lost)?)
    }
}

pub(super) fn lost() -> StoreError {
    StoreError::Failed("the transaction was undone after an earlier failure".to_owned())
}

#[async_trait]
impl StoreTransaction for SqliteTransaction {
    async fn set_savepoint(&mut self) -> Result<(), StoreError> {
        let statements = if self.has_savepoint {
            include_str!("queries/move_savepoint.sql")
        } else {
            include_str!("queries/set_savepoint.sql")
        };
        self.has_savepoint = false;
        sqlx::query(statements).execute(self.connection()?).await?;
        self.has_savepoint = true;
        Ok(())
    }

    async fn return_to_savepoint(&mut self) -> Result<(), StoreError> {
        let connection = self.connection()?;
        let returned = sqlx::query(include_str!("queries/return_to_savepoint.sql"))
            .execute(connection)
            .await;
        self.is_lost = returned.is_err();
        returned?;
        Ok(())
    }

    async fn commit(self: Box<Self>) -> Result<(), StoreError> {
        if self.is_lost {
            return Err(lost());
        }
        let mut transaction = self.transaction.ok_or_else(lost)?;
        if self.adds {
            self.log_room.hold_for(&mut transaction).await?;
        }
        let done = transaction.commit().await;
        self.damage.note(done.map_err(StoreError::from))?;
        // What went into a file that was removed meanwhile is not durable.
        self.place.require_kept()
    }

    async fn insert_readings(
        &mut self,
        readings: &[Reading],
        key: Option<&str>,
        now: Timestamp,
    ) -> Result<Ingested, StoreError> {
        self.adds = true;
        let done = ingestion::insert_readings(self.connection()?, readings, key, now).await;
        self.damage.note(done)
    }

    async fn note_last_readings(
        &mut self,
        newest: &BTreeMap<String, Timestamp>,
    ) -> Result<(), StoreError> {
        let newest = newest.iter().map(|(meter, time)| (meter.as_str(), *time));
        let done = ingestion::note_last_readings(self.connection()?, newest).await;
        self.damage.note(done)
    }

    async fn claimable(
        &mut self,
        order: ClaimOrder,
        limit: usize,
    ) -> Result<Vec<RawReading>, StoreError> {
        self.connection()?;
        let done = claims::claimable(&mut self.transaction, order, limit).await;
        self.damage.note(done)
    }

    async fn foreign_mark(&mut self) -> Result<Option<ForeignMark>, StoreError> {
        if self.mark.is_none() {
            let done = claims::foreign_mark(self.connection()?).await;
            self.mark = Some(self.damage.note(done)?);
        }
        Ok(self.mark)
    }

    async fn claimable_of(
        &mut self,
        batches: &[&ReadingIds],
        are_pending: bool,
    ) -> Result<usize, StoreError> {
        let done = claims::claimable_of(self.connection()?, batches, are_pending).await;
        self.damage.note(done)
    }

    async fn delete_as_read(
        &mut self,
        ids: &ReadingIds,
        versions: &RowVersions,
    ) -> Result<u64, StoreError> {
        if !self.is_as_at(versions).await? {
            return Ok(0);
        }
        self.delete_readings(ids).await?;
        Ok(ids.len() as u64)
    }

    async fn mark_as_read(
        &mut self,
        ids: &ReadingIds,
        versions: &RowVersions,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        if !self.is_as_at(versions).await? {
            return Ok(0);
        }
        self.mark_synchronized(ids, now).await?;
        Ok(ids.len() as u64)
    }

    async fn lock_rows(&mut self, ids: &ReadingIds) -> Result<Vec<RawReading>, StoreError> {
        self.connection()?;
        let done = claims::lock_rows(&mut self.transaction, ids).await;
        self.damage.note(done)
    }

    async fn insert_manifests(&mut self, batches: &[Batch]) -> Result<(), StoreError> {
        let done = manifests::insert(self.connection()?, batches).await;
        self.damage.note(done)
    }

    async fn settle_as_read(&mut self, batch: &StoredBatch<'_>) -> Result<bool, StoreError> {
        if batch.epoch != manifests::EPOCH || !self.is_as_at(batch.versions).await? {
            return Ok(false);
        }
        let done = settlement::settle(self.connection()?, batch).await;
        self.damage.note(done)
    }

    async fn take_over(&mut self) -> Result<Vec<IdempotencyKey>, StoreError> {
        // One process serves the queue, and everything in it is its own.
        Ok(Vec::new())
    }

    async fn batch(&mut self, key: &IdempotencyKey) -> Result<Option<Batch>, StoreError> {
        let done = manifests::batch(self.connection()?, key).await;
        self.damage.note(done)
    }

    async fn manifests_in(
        &mut self,
        state: ManifestState,
        root: Option<&IdempotencyKey>,
    ) -> Result<Vec<Manifest>, StoreError> {
        let done = manifests::in_state(self.connection()?, state, root).await;
        self.damage.note(done)
    }

    async fn update_manifest(&mut self, manifest: &Manifest) -> Result<(), StoreError> {
        let done = manifests::update(self.connection()?, manifest).await;
        self.damage.note(done)
    }

    async fn remove_manifest(&mut self, key: &IdempotencyKey) -> Result<(), StoreError> {
        let done = manifests::remove(self.connection()?, key).await;
        self.damage.note(done)
    }

    async fn take_batch(
        &mut self,
        key: &IdempotencyKey,
        epoch: u32,
    ) -> Result<Option<Batch>, StoreError> {
        if epoch != manifests::EPOCH {
            return Ok(None);
        }
        let done = manifests::take(self.connection()?, key).await;
        self.damage.note(done)
    }

    async fn delete_readings(&mut self, ids: &ReadingIds) -> Result<(), StoreError> {
        let done = settlement::delete_readings(self.connection()?, ids).await;
        self.damage.note(done)
    }

    async fn mark_synchronized(
        &mut self,
        ids: &ReadingIds,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let done = settlement::mark_synchronized(self.connection()?, ids, now).await;
        self.damage.note(done)
    }

    async fn increment_retry_count(&mut self, ids: &ReadingIds) -> Result<(), StoreError> {
        let done = settlement::increment_retry_count(self.connection()?, ids).await;
        self.damage.note(done)
    }

    async fn quarantine(
        &mut self,
        entries: &[QuarantineEntry],
        now: Timestamp,
    ) -> Result<ReadingIds, StoreError> {
        let done = quarantine::set_aside(self.connection()?, entries, now).await;
        self.damage.note(done)
    }

    async fn append_sync_log(
        &mut self,
        batch_size: usize,
        error: Option<&str>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let done = operation_log::append(self.connection()?, batch_size, error, now).await;
        self.damage.note(done)
    }

    async fn record_sample(&mut self, sample: &Sample) -> Result<(), StoreError> {
        let done = samples::record(self.connection()?, sample).await;
        self.damage.note(done)
    }

    async fn upsert_meters(
        &mut self,
        meters: &[MeterConfiguration],
        now: Timestamp,
    ) -> Result<MeterChanges, StoreError> {
        let done = meters::upsert(self.connection()?, meters, now).await;
        self.damage.note(done)
    }

    async fn remember(&mut self, fact: Fact, value: Option<&str>) -> Result<(), StoreError> {
        let done = facts::remember(self.connection()?, fact, value).await;
        self.damage.note(done)
    }

    async fn add_to_fact(&mut self, fact: Fact, amount: u64) -> Result<(), StoreError> {
        let done = facts::add(self.connection()?, fact, amount).await;
        self.damage.note(done)
    }

    async fn requeue(
        &mut self,
        filter: &QuarantineFilter,
        accept_double: bool,
        now: Timestamp,
    ) -> Result<QuarantineActionResult, StoreError> {
        let done = requeue::requeue(self.connection()?, filter, accept_double, now).await;
        self.damage.note(done)
    }

    async fn correct(
        &mut self,
        id: i64,
        correction: &QuarantineCorrection,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let done = quarantine::correct(self.connection()?, id, correction, now).await;
        self.damage.note(done)
    }

    async fn discard(
        &mut self,
        filter: &QuarantineFilter,
        now: Timestamp,
    ) -> Result<QuarantineActionResult, StoreError> {
        let done = quarantine::discard(self.connection()?, filter, now).await;
        self.damage.note(done)
    }

    async fn delete_synchronized_before(
        &mut self,
        before: Timestamp,
        limit: u32,
    ) -> Result<u64, StoreError> {
        let done = cleanup::synchronized_before(self.connection()?, before, limit).await;
        self.damage.note(done)
    }

    async fn delete_sync_log_before(
        &mut self,
        before: Timestamp,
        limit: u32,
    ) -> Result<u64, StoreError> {
        let done = cleanup::sync_log_before(self.connection()?, before, limit).await;
        self.damage.note(done)
    }

    async fn delete_ingestion_keys_before(
        &mut self,
        before: Timestamp,
        limit: u32,
    ) -> Result<u64, StoreError> {
        let done = cleanup::ingestion_keys_before(self.connection()?, before, limit).await;
        self.damage.note(done)
    }
}
