//! The store's reads: takes a read connection and hands every question to the file that knows the answer.

use std::{ops::Range, time::Duration};

use async_trait::async_trait;

use super::{
    PostgresStore, facts, manifests, meters, operation_log, quarantine, queue, readings, samples,
    transaction::PostgresTransaction,
};
use crate::{
    domain::{
        batch::{Batch, IdempotencyKey, Manifest},
        census::Stretch,
        history::Sample,
        meter::Meter,
        quarantine::{QuarantineFilter, QuarantinedReading},
        reading::{ReadingId, ReadingRow},
        sync_log::{SyncLogEntry, SyncStats},
        timestamp::Timestamp,
    },
    storage::{
        Attendance, Fact, Flight, Page, QueueBounds, QueueLength, StoreError, StoreTransaction,
        SyncStore, Window,
    },
};

/// A server that does not answer must not hold up the end of the process.
const CLOSE_PATIENCE: Duration = Duration::from_secs(5);

#[async_trait]
impl SyncStore for PostgresStore {
    fn nanoseconds_apart(&self) -> u32 {
        1_000
    }

    async fn begin(&self) -> Result<Box<dyn StoreTransaction>, StoreError> {
        let lent = self.writer.begin().await?;
        Ok(Box::new(PostgresTransaction::new(
            lent,
            self.instance.clone(),
            self.cursors.clone(),
        )))
    }

    async fn try_writing(&self) -> Result<(), StoreError> {
        let mut lent = self.writer.begin().await?;
        sqlx::raw_sql(include_str!("queries/try_writing.sql"))
            .execute(lent.connection())
            .await?;
        lent.commit().await
    }

    async fn attend(&self) -> Result<Attendance, StoreError> {
        let attendance = self.presence.attend().await?;
        let is_full_look = self.cursors.attended();
        if attendance.leads {
            let mut reader = self.reader().await?;
            queue::fold_count(&mut reader).await?;
            if is_full_look {
                queue::mend_count(&mut reader).await?;
            }
        }
        Ok(attendance)
    }

    async fn announced(&self) -> Result<(), StoreError> {
        self.presence.announced().await
    }

    async fn length(&self) -> Result<QueueLength, StoreError> {
        let kept = queue::kept_count(&mut *self.reader().await?).await?;
        Ok(QueueLength::Kept(kept))
    }

    async fn flight(&self) -> Result<Flight, StoreError> {
        manifests::flight(&mut *self.reader().await?).await
    }

    async fn queue_bounds(&self) -> Result<QueueBounds, StoreError> {
        self.cursors.bounds(&mut *self.reader().await?).await
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
        manifests::all(&mut *self.reader().await?, &self.instance).await
    }

    async fn batch(&self, key: &IdempotencyKey) -> Result<Option<Batch>, StoreError> {
        manifests::read_batch(&mut *self.reader().await?, &self.instance, key).await
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

    async fn samples(&self, minutes: Range<i64>) -> Result<Vec<Sample>, StoreError> {
        samples::within(&mut *self.reader().await?, minutes).await
    }

    async fn quarantine(
        &self,
        filter: &QuarantineFilter,
        window: Window,
    ) -> Result<Page<QuarantinedReading>, StoreError> {
        quarantine::page(&mut *self.reader().await?, filter, window).await
    }

    async fn disk_free_bytes(&self) -> Option<u64> {
        // The disk is the server's, which does not tell.
        None
    }

    async fn close(&self) {
        let closing = async {
            self.presence.close().await;
            if let Err(error) = self.writer.close(&self.instance).await {
                tracing::warn!(%error, "the others wait for the lease of this instance to run out");
            }
            self.readers.close().await;
        };
        if tokio::time::timeout(CLOSE_PATIENCE, closing).await.is_err() {
            tracing::warn!(
                "the server does not answer; the others wait for the lease of this instance to run out"
            );
        }
    }
}
