//! The store's reads: takes a read connection and hands every question to the file that knows the answer.

use async_trait::async_trait;

use super::{
    SqliteStore, disk, facts, manifests, meters, operation_log, quarantine, queue, readings,
    transaction::SqliteTransaction,
};
use crate::{
    domain::{
        batch::{Batch, IdempotencyKey, Manifest},
        census::Stretch,
        meter::Meter,
        quarantine::{QuarantineFilter, QuarantinedReading},
        reading::{ReadingId, ReadingRow},
        sync_log::{SyncLogEntry, SyncStats},
        timestamp::Timestamp,
    },
    storage::{
        Attendance, Fact, Flight, Page, QueueBounds, QueueLength, Reserve, Salvage, StoreError,
        StoreTransaction, SyncStore, Window,
    },
};

#[async_trait]
impl SyncStore for SqliteStore {
    async fn begin(&self) -> Result<Box<dyn StoreTransaction>, StoreError> {
        // Immediate: a transaction that turned into a writer halfway could fail without waiting for the lock.
        let transaction = self
            .connections()
            .writer
            .begin_with(include_str!("queries/begin.sql"))
            .await?;
        Ok(Box::new(SqliteTransaction::new(transaction)))
    }

    async fn attend(&self) -> Result<Attendance, StoreError> {
        // One process serves the queue: the lock on the file saw to that.
        Ok(Attendance {
            leads: true,
            instances: 1,
        })
    }

    async fn announced(&self) -> Result<(), StoreError> {
        std::future::pending().await
    }

    async fn length(&self) -> Result<QueueLength, StoreError> {
        let version = self.connections().foreign_changes.version().await?;
        Ok(QueueLength::ToBeCounted { version })
    }

    async fn flight(&self) -> Result<Flight, StoreError> {
        manifests::flight(&mut *self.reader().await?).await
    }

    async fn queue_bounds(&self) -> Result<QueueBounds, StoreError> {
        queue::bounds(&mut *self.reader().await?).await
    }

    async fn next_pending(&self, after: ReadingId) -> Result<Option<ReadingId>, StoreError> {
        queue::next_pending(&mut *self.reader().await?, after).await
    }

    async fn count_pending(&self, stretch: Stretch) -> Result<u64, StoreError> {
        queue::count_pending(&mut *self.reader().await?, stretch).await
    }

    async fn quarantined_count(&self) -> Result<u64, StoreError> {
        quarantine::count(&mut *self.reader().await?).await
    }

    async fn manifests(&self) -> Result<Vec<Manifest>, StoreError> {
        manifests::all(&mut *self.reader().await?).await
    }

    async fn batch(&self, key: &IdempotencyKey) -> Result<Option<Batch>, StoreError> {
        manifests::batch(&mut *self.reader().await?, key).await
    }

    async fn fact(&self, fact: Fact) -> Result<Option<String>, StoreError> {
        facts::recall(&mut *self.reader().await?, fact).await
    }

    async fn readings(
        &self,
        meter: Option<&str>,
        since: Timestamp,
        window: Window,
    ) -> Result<Page<ReadingRow>, StoreError> {
        readings::newest(&mut *self.reader().await?, meter, since, window).await
    }

    async fn meters(&self, window: Window) -> Result<Page<Meter>, StoreError> {
        meters::page(&mut *self.reader().await?, window).await
    }

    async fn last_collection(&self) -> Result<Option<Timestamp>, StoreError> {
        readings::last_collection(&mut *self.reader().await?).await
    }

    async fn sync_log(&self, window: Window) -> Result<Page<SyncLogEntry>, StoreError> {
        operation_log::page(&mut *self.reader().await?, window).await
    }

    async fn sync_log_by_outcome(
        &self,
        success: bool,
        limit: u32,
    ) -> Result<Vec<SyncLogEntry>, StoreError> {
        operation_log::by_outcome(&mut *self.reader().await?, success, limit).await
    }

    async fn sync_stats(&self, since: Timestamp) -> Result<SyncStats, StoreError> {
        operation_log::stats(&mut *self.reader().await?, since).await
    }

    async fn quarantine(
        &self,
        filter: &QuarantineFilter,
        window: Window,
    ) -> Result<Page<QuarantinedReading>, StoreError> {
        quarantine::page(&mut *self.reader().await?, filter, window).await
    }

    async fn disk_free_bytes(&self) -> Option<u64> {
        disk::free_bytes(&self.path).await
    }

    async fn replace_damaged(&self) -> Result<(), StoreError> {
        self.replace_damaged_file().await
    }

    async fn salvage(&self) -> Option<Salvage> {
        let salvage = self.known_salvage()?;
        if let Err(error) = self.take_in_strays(&salvage).await {
            tracing::debug!(%error, "the damaged database cannot be looked at now");
        }
        self.known_salvage()
    }

    async fn keep_reserve(&self) -> Reserve {
        self.keep_or_regain_reserve().await
    }

    async fn give_up_reserve(&self) {
        self.use_reserve().await;
    }

    fn reserve_is_in_use(&self) -> bool {
        self.reserve.is_in_use()
    }

    async fn close(&self) {
        self.connections().close().await;
        self.lock.release();
    }
}
