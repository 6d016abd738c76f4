//! A Sync Database that is not there yet. Until it can be opened every question is answered with the reason, so
//! that the service can serve its status and wait; from then on it is the database itself.

use std::ops::Range;
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;

use super::{
    Attendance, Flight, ForeignMark, QueueBounds, QueueLength, StoreTransaction, SyncStore,
    TakeRows,
};
use crate::domain::{
    batch::{Batch, IdempotencyKey, Manifest},
    census::{KnownStretch, Stretch},
    history::Sample,
    meter::Meter,
    quarantine::{QuarantineFilter, QuarantinedReading},
    reading::{ReadingId, ReadingRow},
    store::{Fact, Page, Reserve, Salvage, StoreError, Window},
    sync_log::{SyncLogEntry, SyncStats},
    timestamp::Timestamp,
};

/// Stands in for a database until it is opened.
pub struct WaitingStore(RwLock<Result<Arc<dyn SyncStore>, StoreError>>);

impl WaitingStore {
    /// Not open, for this reason.
    pub fn new(reason: StoreError) -> Self {
        Self(RwLock::new(Err(reason)))
    }

    /// Another try to open it failed.
    pub fn still_closed(&self, reason: StoreError) {
        self.set(Err(reason));
    }

    /// It is open.
    pub fn opened(&self, store: Arc<dyn SyncStore>) {
        self.set(Ok(store));
    }

    fn set(&self, now: Result<Arc<dyn SyncStore>, StoreError>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = now;
    }

    fn store(&self) -> Result<Arc<dyn SyncStore>, StoreError> {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

#[async_trait]
impl SyncStore for WaitingStore {
    async fn begin(&self) -> Result<Box<dyn StoreTransaction>, StoreError> {
        self.store()?.begin().await
    }

    async fn try_writing(&self) -> Result<(), StoreError> {
        self.store()?.try_writing().await
    }

    fn may_be_shared(&self) -> bool {
        self.store().map_or(true, |store| store.may_be_shared())
    }

    fn nanoseconds_apart(&self) -> u32 {
        self.store().map_or(1, |store| store.nanoseconds_apart())
    }

    async fn attend(&self) -> Result<Attendance, StoreError> {
        self.store()?.attend().await
    }

    async fn announced(&self) -> Result<(), StoreError> {
        self.store()?.announced().await
    }

    async fn length(&self) -> Result<QueueLength, StoreError> {
        self.store()?.length().await
    }

    async fn foreign_mark(&self) -> Result<Option<ForeignMark>, StoreError> {
        self.store()?.foreign_mark().await
    }

    async fn read_ahead(
        &self,
        after: ReadingId,
        limit: usize,
        take: TakeRows,
    ) -> Result<(), StoreError> {
        self.store()?.read_ahead(after, limit, take).await
    }

    async fn flight(&self) -> Result<Flight, StoreError> {
        self.store()?.flight().await
    }

    async fn queue_bounds(&self) -> Result<QueueBounds, StoreError> {
        self.store()?.queue_bounds().await
    }

    async fn next_pending(&self, after: ReadingId) -> Result<Option<ReadingId>, StoreError> {
        self.store()?.next_pending(after).await
    }

    async fn count_pending(&self, stretch: Stretch) -> Result<u64, StoreError> {
        self.store()?.count_pending(stretch).await
    }

    async fn has_pending(&self, known: KnownStretch) -> Result<bool, StoreError> {
        self.store()?.has_pending(known).await
    }

    async fn quarantined_count(&self) -> Result<u64, StoreError> {
        self.store()?.quarantined_count().await
    }

    async fn manifests(&self) -> Result<Vec<Manifest>, StoreError> {
        self.store()?.manifests().await
    }

    async fn batch(&self, key: &IdempotencyKey) -> Result<Option<Batch>, StoreError> {
        self.store()?.batch(key).await
    }

    async fn fact(&self, fact: Fact) -> Result<Option<String>, StoreError> {
        self.store()?.fact(fact).await
    }

    async fn readings(
        &self,
        meter: Option<&str>,
        since: Timestamp,
        window: Window,
    ) -> Result<Page<ReadingRow>, StoreError> {
        self.store()?.readings(meter, since, window).await
    }

    async fn meters(&self, window: Window) -> Result<Page<Meter>, StoreError> {
        self.store()?.meters(window).await
    }

    async fn last_collection(&self) -> Result<Option<Timestamp>, StoreError> {
        self.store()?.last_collection().await
    }

    async fn sync_log(&self, window: Window) -> Result<Page<SyncLogEntry>, StoreError> {
        self.store()?.sync_log(window).await
    }

    async fn sync_log_by_outcome(
        &self,
        success: bool,
        limit: u32,
    ) -> Result<Vec<SyncLogEntry>, StoreError> {
        self.store()?.sync_log_by_outcome(success, limit).await
    }

    async fn samples(&self, minutes: Range<i64>) -> Result<Vec<Sample>, StoreError> {
        self.store()?.samples(minutes).await
    }

    async fn sync_stats(&self, since: Timestamp) -> Result<SyncStats, StoreError> {
        self.store()?.sync_stats(since).await
    }

    async fn quarantine(
        &self,
        filter: &QuarantineFilter,
        window: Window,
    ) -> Result<Page<QuarantinedReading>, StoreError> {
        self.store()?.quarantine(filter, window).await
    }

    async fn disk_free_bytes(&self) -> Option<u64> {
        self.store().ok()?.disk_free_bytes().await
    }

    async fn follow(&self) -> Result<bool, StoreError> {
        self.store()?.follow().await
    }

    async fn replace_damaged(&self) -> Result<(), StoreError> {
        self.store()?.replace_damaged().await
    }

    async fn salvages(&self) -> Vec<Salvage> {
        match self.store() {
            Ok(store) => store.salvages().await,
            Err(_) => Vec::new(),
        }
    }

    async fn keep_reserve(&self) -> Reserve {
        match self.store() {
            Ok(store) => store.keep_reserve().await,
            Err(_) => Reserve::None,
        }
    }

    async fn give_up_reserve(&self) {
        if let Ok(store) = self.store() {
            store.give_up_reserve().await;
        }
    }

    fn log_lacks_bytes(&self) -> Option<u64> {
        self.store().ok()?.log_lacks_bytes()
    }

    fn log_kept_by_readers(&self) -> Option<u64> {
        self.store().ok()?.log_kept_by_readers()
    }

    fn reserve_is_in_use(&self) -> bool {
        self.store().is_ok_and(|store| store.reserve_is_in_use())
    }

    async fn close(&self) {
        if let Ok(store) = self.store() {
            store.close().await;
        }
    }
}
