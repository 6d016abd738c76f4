//! The store's reads: takes a read connection and hands every question to the file that knows the answer.

use std::ops::Range;

use async_trait::async_trait;

use super::{
    SqliteStore, announcements, claims, disk, facts, manifests, meters, operation_log, quarantine,
    queue, readings, samples, transaction::SqliteTransaction,
};
use crate::{
    domain::{
        batch::{Batch, IdempotencyKey, Manifest},
        census::{KnownStretch, Stretch},
        history::Sample,
        meter::Meter,
        quarantine::{QuarantineFilter, QuarantinedReading},
        reading::{ReadingId, ReadingRow},
        sync_log::{SyncLogEntry, SyncStats},
        timestamp::Timestamp,
    },
    storage::{
        Attendance, Fact, Flight, ForeignMark, Page, QueueBounds, QueueLength, Reserve, Salvage,
        StoreError, StoreTransaction, SyncStore, TakeRows, Window,
    },
};

#[async_trait]
impl SyncStore for SqliteStore {
    async fn begin(&self) -> Result<Box<dyn StoreTransaction>, StoreError> {
        // Immediate: a transaction that turned into a writer halfway could fail without waiting for the lock.
        let begin = include_str!("queries/begin.sql");
        let connections = self.connections()?;
        connections.place.require_kept()?;
        let begun = connections.writer.begin_with(begin).await;
        let transaction = self.damage.note(begun.map_err(StoreError::from))?;
        Ok(Box::new(SqliteTransaction::new(
            transaction,
            self.damage.clone(),
            connections.place.clone(),
            self.log_room.clone(),
        )))
    }

    fn may_be_shared(&self) -> bool {
        false
    }

    async fn attend(&self) -> Result<Attendance, StoreError> {
        // One process serves the queue: the lock on the file saw to that.
        Ok(Attendance {
            leads: true,
            instances: 1,
        })
    }

    async fn announced(&self) -> Result<(), StoreError> {
        let told = announcements::changed(&self.path).await;
        told.map_err(|error| StoreError::Failed(error.to_string()))
    }

    async fn length(&self) -> Result<QueueLength, StoreError> {
        let connections = self.connections()?;
        // Whoever met damage, it is told here, where the queue is looked at.
        self.damage.require_none()?;
        let version = connections.foreign_changes.version().await;
        let version = self.damage.note(version)?;
        Ok(QueueLength::ToBeCounted { version })
    }

    async fn foreign_mark(&self) -> Result<Option<ForeignMark>, StoreError> {
        // Of the write connection, for that one does not see our own commits.
        let mut writer = self.connections()?.writer.acquire().await?;
        let mark = claims::foreign_mark(&mut writer).await;
        self.damage.note(mark).map(Some)
    }

    async fn flight(&self) -> Result<Flight, StoreError> {
        let answer = manifests::flight(&mut *self.reader().await?).await;
        self.damage.note(answer)
    }

    async fn queue_bounds(&self) -> Result<QueueBounds, StoreError> {
        let answer = queue::bounds(&mut *self.reader().await?).await;
        self.damage.note(answer)
    }

    async fn next_pending(&self, after: ReadingId) -> Result<Option<ReadingId>, StoreError> {
        let answer = queue::next_pending(&mut *self.reader().await?, after).await;
        self.damage.note(answer)
    }

    async fn read_ahead(
        &self,
        after: ReadingId,
        limit: usize,
        take: TakeRows,
    ) -> Result<(), StoreError> {
        let answer = claims::pending_after(self.reader().await?, after, limit, take).await;
        self.damage.note(answer)
    }

    async fn count_pending(&self, stretch: Stretch) -> Result<u64, StoreError> {
        let answer = queue::count_pending(&mut *self.reader().await?, stretch).await;
        self.damage.note(answer)
    }

    async fn has_pending(&self, known: KnownStretch) -> Result<bool, StoreError> {
        let answer = queue::has_pending(&mut *self.reader().await?, known).await;
        self.damage.note(answer)
    }

    async fn quarantined_count(&self) -> Result<u64, StoreError> {
        let answer = quarantine::count(&mut *self.reader().await?).await;
        self.damage.note(answer)
    }

    async fn manifests(&self) -> Result<Vec<Manifest>, StoreError> {
        let answer = manifests::all(&mut *self.reader().await?).await;
        self.damage.note(answer)
    }

    async fn batch(&self, key: &IdempotencyKey) -> Result<Option<Batch>, StoreError> {
        let answer = manifests::batch(&mut *self.reader().await?, key).await;
        self.damage.note(answer)
    }

    async fn fact(&self, fact: Fact) -> Result<Option<String>, StoreError> {
        let answer = facts::recall(&mut *self.reader().await?, fact).await;
        self.damage.note(answer)
    }

    async fn readings(
        &self,
        meter: Option<&str>,
        since: Timestamp,
        window: Window,
    ) -> Result<Page<ReadingRow>, StoreError> {
        let answer = readings::newest(&mut *self.reader().await?, meter, since, window).await;
        self.damage.note(answer)
    }

    async fn meters(&self, window: Window) -> Result<Page<Meter>, StoreError> {
        let answer = meters::page(&mut *self.reader().await?, window).await;
        self.damage.note(answer)
    }

    async fn last_collection(&self) -> Result<Option<Timestamp>, StoreError> {
        let answer = readings::last_collection(&mut *self.reader().await?).await;
        self.damage.note(answer)
    }

    async fn sync_log(&self, window: Window) -> Result<Page<SyncLogEntry>, StoreError> {
        let answer = operation_log::page(&mut *self.reader().await?, window).await;
        self.damage.note(answer)
    }

    async fn sync_log_by_outcome(
        &self,
        success: bool,
        limit: u32,
    ) -> Result<Vec<SyncLogEntry>, StoreError> {
        let answer = operation_log::by_outcome(&mut *self.reader().await?, success, limit).await;
        self.damage.note(answer)
    }

    async fn sync_stats(&self, since: Timestamp) -> Result<SyncStats, StoreError> {
        let answer = operation_log::stats(&mut *self.reader().await?, since).await;
        self.damage.note(answer)
    }

    async fn samples(&self, minutes: Range<i64>) -> Result<Vec<Sample>, StoreError> {
        let answer = samples::within(&mut *self.reader().await?, minutes).await;
        self.damage.note(answer)
    }

    async fn quarantine(
        &self,
        filter: &QuarantineFilter,
        window: Window,
    ) -> Result<Page<QuarantinedReading>, StoreError> {
        let answer = quarantine::page(&mut *self.reader().await?, filter, window).await;
        self.damage.note(answer)
    }

    async fn disk_free_bytes(&self) -> Option<u64> {
        disk::free_bytes(&self.path).await
    }

    async fn follow(&self) -> Result<bool, StoreError> {
        self.follow_file().await
    }

    async fn replace_damaged(&self) -> Result<(), StoreError> {
        self.replace_damaged_file().await
    }

    async fn salvages(&self) -> Vec<Salvage> {
        let connections = self.connections().ok();
        let writer = connections.as_ref().map(|connections| &connections.writer);
        self.strays.follow(writer).await
    }

    async fn keep_reserve(&self) -> Reserve {
        self.keep_or_regain_reserve().await
    }

    async fn give_up_reserve(&self) {
        self.use_reserve().await;
    }

    fn reserve_is_in_use(&self) -> bool {
        // Without a database that can be used there is a better answer than that the disk is full.
        self.reserve.is_in_use() && self.connections().is_ok()
    }

    fn log_kept_by_readers(&self) -> Option<u64> {
        self.log_room.kept_by_readers()
    }

    fn log_lacks_bytes(&self) -> Option<u64> {
        self.log_room.lacking()
    }

    async fn close(&self) {
        if let Ok(connections) = self.connections() {
            connections.close().await;
            self.log_room.give_up_unless_needed().await;
        }
        // While it is being replaced nobody else may begin; the end of the process ends that, and the lock with it.
        if self.replacing.try_lock().is_ok() {
            self.lock.release();
        }
    }
}
