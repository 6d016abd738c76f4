//! The write transaction: keeps the connection and hands every operation to the file that knows it.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use sqlx::PgConnection;

use super::{
    claims, cleanup, facts, ingestion, manifests, meters, operation_log, quarantine,
    queue::Cursors, requeue, samples, settlement, writer::Lent,
};
use crate::{
    domain::{
        batch::{Batch, ClaimOrder, IdempotencyKey, Manifest, ManifestState},
        history::Sample,
        meter::{MeterChanges, MeterConfiguration},
        quarantine::{QuarantineCorrection, QuarantineFilter},
        reading::{RawReading, Reading, ReadingId},
        reading_ids::ReadingIds,
        timestamp::Timestamp,
    },
    storage::{
        Fact, Ingested, QuarantineActionResult, QuarantineEntry, RowVersions, StoreError,
        StoreTransaction,
    },
};

/// A transaction on the one write connection, which is closed with it unless it commits.
pub(super) struct PostgresTransaction {
    lent: Lent,
    instance: Arc<str>,
    cursors: Arc<Cursors>,
    /// How far the queue was walked over, and whether what was found there is claimed.
    walked_through: Option<ReadingId>,
    has_claimed: bool,
    has_savepoint: bool,
    /// Set once something failed: the server would answer a commit with a rollback and call it success.
    is_lost: bool,
}

impl PostgresTransaction {
    /// Keeps a transaction that has begun.
    pub(super) fn new(lent: Lent, instance: Arc<str>, cursors: Arc<Cursors>) -> Self {
        Self {
            lent,
            instance,
            cursors,
            walked_through: None,
            has_claimed: false,
            has_savepoint: false,
            is_lost: false,
        }
    }

    fn connection(&mut self) -> Result<&mut PgConnection, StoreError> {
        if self.is_lost {
            return Err(lost());
        }
        Ok(self.lent.connection())
    }

    fn noted<T>(&mut self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        // A key that was used before is found by a look, not by a failure.
        self.is_lost |= matches!(&result, Err(error) if !matches!(error, StoreError::KeyReused(_)));
        result
    }
}

fn lost() -> StoreError {
    StoreError::Failed("the transaction was undone after an earlier failure".to_owned())
}

#[async_trait]
impl StoreTransaction for PostgresTransaction {
    async fn set_savepoint(&mut self) -> Result<(), StoreError> {
        let statement = if self.has_savepoint {
            include_str!("queries/move_savepoint.sql")
        } else {
            include_str!("queries/set_savepoint.sql")
        };
        let result = sqlx::raw_sql(statement).execute(self.connection()?).await;
        self.noted(result.map(drop).map_err(StoreError::from))?;
        self.has_savepoint = true;
        Ok(())
    }

    async fn return_to_savepoint(&mut self) -> Result<(), StoreError> {
        sqlx::query(include_str!("queries/return_to_savepoint.sql"))
            .execute(self.lent.connection())
            .await?;
        self.is_lost = false;
        Ok(())
    }

    async fn commit(self: Box<Self>) -> Result<(), StoreError> {
        if self.is_lost {
            return Err(lost());
        }
        self.lent.commit().await?;
        if let Some(id) = self.walked_through.filter(|_| self.has_claimed) {
            self.cursors.claimed_through(id);
        }
        Ok(())
    }

    async fn insert_readings(
        &mut self,
        readings: &[Reading],
        key: Option<&str>,
        now: Timestamp,
    ) -> Result<Ingested, StoreError> {
        let result = ingestion::insert_readings(self.connection()?, readings, key, now).await;
        self.noted(result)
    }

    async fn note_last_readings(
        &mut self,
        newest: &BTreeMap<String, Timestamp>,
    ) -> Result<(), StoreError> {
        let newest = newest.iter().map(|(meter, time)| (meter.as_str(), *time));
        let result = ingestion::note_last_readings(self.connection()?, newest).await;
        self.noted(result)
    }

    async fn claimable(
        &mut self,
        order: ClaimOrder,
        limit: usize,
    ) -> Result<Vec<RawReading>, StoreError> {
        let (instance, cursors) = (Arc::clone(&self.instance), Arc::clone(&self.cursors));
        let result = claims::claimable(self.connection()?, &instance, &cursors, order, limit).await;
        let walk = self.noted(result)?;
        self.walked_through = walk.through;
        Ok(walk.found)
    }

    async fn delete_as_read(
        &mut self,
        ids: &ReadingIds,
        versions: &RowVersions,
    ) -> Result<u64, StoreError> {
        let RowVersions::WrittenBy(writers) = versions else {
            return Ok(0);
        };
        let result = settlement::delete_written_by(self.connection()?, ids, writers).await;
        self.noted(result)
    }

    async fn mark_as_read(
        &mut self,
        ids: &ReadingIds,
        versions: &RowVersions,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let RowVersions::WrittenBy(writers) = versions else {
            return Ok(0);
        };
        let result = settlement::mark_written_by(self.connection()?, ids, writers, now).await;
        self.noted(result)
    }

    async fn lock_rows(&mut self, ids: &ReadingIds) -> Result<Vec<RawReading>, StoreError> {
        let result = claims::lock_rows(self.connection()?, ids).await;
        self.noted(result)
    }

    async fn insert_manifests(&mut self, batches: &[Batch]) -> Result<(), StoreError> {
        let instance = Arc::clone(&self.instance);
        self.has_claimed = true;
        for batch in batches {
            let result = manifests::insert(self.connection()?, &instance, batch).await;
            self.noted(result)?;
        }
        Ok(())
    }

    async fn take_over(&mut self) -> Result<Vec<IdempotencyKey>, StoreError> {
        let instance = Arc::clone(&self.instance);
        let result = manifests::take_over(self.connection()?, &instance).await;
        self.noted(result)
    }

    async fn batch(&mut self, key: &IdempotencyKey) -> Result<Option<Batch>, StoreError> {
        let instance = Arc::clone(&self.instance);
        let result = manifests::batch(self.connection()?, &instance, key).await;
        self.noted(result)
    }

    async fn manifests_in(
        &mut self,
        state: ManifestState,
        root: Option<&IdempotencyKey>,
    ) -> Result<Vec<Manifest>, StoreError> {
        let instance = Arc::clone(&self.instance);
        let result = manifests::in_state(self.connection()?, &instance, state, root).await;
        self.noted(result)
    }

    async fn update_manifest(&mut self, manifest: &Manifest) -> Result<(), StoreError> {
        let instance = Arc::clone(&self.instance);
        let result = manifests::update(self.connection()?, &instance, manifest).await;
        self.noted(result)
    }

    async fn remove_manifest(&mut self, key: &IdempotencyKey) -> Result<(), StoreError> {
        let instance = Arc::clone(&self.instance);
        let result = manifests::remove(self.connection()?, &instance, key).await;
        self.noted(result)
    }

    async fn take_batch(
        &mut self,
        key: &IdempotencyKey,
        epoch: u32,
    ) -> Result<Option<Batch>, StoreError> {
        let instance = Arc::clone(&self.instance);
        let result = manifests::take(self.connection()?, &instance, key, epoch).await;
        self.noted(result)
    }

    async fn delete_readings(&mut self, ids: &ReadingIds) -> Result<(), StoreError> {
        let result = settlement::delete_readings(self.connection()?, ids).await;
        self.noted(result)
    }

    async fn mark_synchronized(
        &mut self,
        ids: &ReadingIds,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let result = settlement::mark_synchronized(self.connection()?, ids, now).await;
        self.noted(result)
    }

    async fn increment_retry_count(&mut self, ids: &ReadingIds) -> Result<(), StoreError> {
        let result = settlement::increment_retry_count(self.connection()?, ids).await;
        self.noted(result)
    }

    async fn quarantine(
        &mut self,
        entries: &[QuarantineEntry],
        now: Timestamp,
    ) -> Result<ReadingIds, StoreError> {
        let result = quarantine::set_aside(self.connection()?, entries, now).await;
        self.noted(result)
    }

    async fn append_sync_log(
        &mut self,
        batch_size: usize,
        error: Option<&str>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let result = operation_log::append(self.connection()?, batch_size, error, now).await;
        self.noted(result)
    }

    async fn record_sample(&mut self, sample: &Sample) -> Result<(), StoreError> {
        samples::record(self.connection()?, sample).await
    }

    async fn upsert_meters(
        &mut self,
        meters: &[MeterConfiguration],
        now: Timestamp,
    ) -> Result<MeterChanges, StoreError> {
        let result = meters::upsert(self.connection()?, meters, now).await;
        self.noted(result)
    }

    async fn remember(&mut self, fact: Fact, value: Option<&str>) -> Result<(), StoreError> {
        let result = facts::remember(self.connection()?, fact, value).await;
        self.noted(result)
    }

    async fn add_to_fact(&mut self, fact: Fact, amount: u64) -> Result<(), StoreError> {
        let result = facts::add(self.connection()?, fact, amount).await;
        self.noted(result)
    }

    async fn requeue(
        &mut self,
        filter: &QuarantineFilter,
        accept_double: bool,
        now: Timestamp,
    ) -> Result<QuarantineActionResult, StoreError> {
        let result = requeue::requeue(self.connection()?, filter, accept_double, now).await;
        self.noted(result)
    }

    async fn correct(
        &mut self,
        id: i64,
        correction: &QuarantineCorrection,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let result = quarantine::correct(self.connection()?, id, correction, now).await;
        self.noted(result)
    }

    async fn discard(
        &mut self,
        filter: &QuarantineFilter,
        now: Timestamp,
    ) -> Result<QuarantineActionResult, StoreError> {
        let result = quarantine::discard(self.connection()?, filter, now).await;
        self.noted(result)
    }

    async fn delete_synchronized_before(
        &mut self,
        before: Timestamp,
        limit: u32,
    ) -> Result<u64, StoreError> {
        let result = cleanup::synchronized_before(self.connection()?, before, limit).await;
        self.noted(result)
    }

    async fn delete_sync_log_before(
        &mut self,
        before: Timestamp,
        limit: u32,
    ) -> Result<u64, StoreError> {
        let result = cleanup::sync_log_before(self.connection()?, before, limit).await;
        self.noted(result)
    }

    async fn delete_ingestion_keys_before(
        &mut self,
        before: Timestamp,
        limit: u32,
    ) -> Result<u64, StoreError> {
        let result = cleanup::ingestion_keys_before(self.connection()?, before, limit).await;
        self.noted(result)
    }
}
