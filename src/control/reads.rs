//! Questions that the Sync Database answers. They read what is committed and never wait for the writer.

use std::{future::Future, time::Duration};

use chrono::TimeDelta;

use super::{Control, ControlError};
use crate::{
    domain::{
        meter::Meter,
        reading::ReadingRow,
        store::{Page, StoreError, Window},
        sync_log::{SyncLogEntry, SyncStats},
        timestamp::Timestamp,
    },
    supervision::ask::AskError,
};

impl Control {
    /// Sums over the operation log of the last hours.
    ///
    /// # Errors
    /// When the Sync Database does not answer.
    pub async fn sync_stats(&self, hours: u32) -> Result<SyncStats, ControlError> {
        self.read(self.parts.store.sync_stats(self.hours_ago(hours)))
            .await
    }

    /// The operation log, newest first.
    ///
    /// # Errors
    /// When the Sync Database does not answer.
    pub async fn sync_log(&self, window: Window) -> Result<Page<SyncLogEntry>, ControlError> {
        self.read(self.parts.store.sync_log(window)).await
    }

    /// When the Client System last took readings; none where the operation log knows of no such time.
    ///
    /// # Errors
    /// When the Sync Database does not answer.
    pub async fn last_upload_at(&self) -> Result<Option<Timestamp>, ControlError> {
        let newest = self
            .read(self.parts.store.sync_log_by_outcome(true, 1))
            .await?;
        Ok(newest.first().and_then(|entry| entry.synced_at))
    }

    /// The last failures in the operation log, at most `limit`, newest first.
    ///
    /// # Errors
    /// When the Sync Database does not answer.
    pub async fn sync_failures(&self, limit: u32) -> Result<Vec<SyncLogEntry>, ControlError> {
        self.read(self.parts.store.sync_log_by_outcome(false, limit))
            .await
    }

    /// Known meters by name.
    ///
    /// # Errors
    /// When the Sync Database does not answer.
    pub async fn meters(&self, window: Window) -> Result<Page<Meter>, ControlError> {
        self.read(self.parts.store.meters(window)).await
    }

    /// Local readings measured in the last hours, newest first; of one meter where given.
    ///
    /// # Errors
    /// When the Sync Database does not answer.
    pub async fn readings(
        &self,
        meter: Option<&str>,
        hours: u32,
        window: Window,
    ) -> Result<Page<ReadingRow>, ControlError> {
        let since = self.hours_ago(hours);
        self.read(self.parts.store.readings(meter, since, window))
            .await
    }

    /// Waits for a read, with a bound.
    pub(super) async fn read<T>(
        &self,
        reading: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, ControlError> {
        let patience: Duration = self.parts.patience.database;
        match tokio::time::timeout(patience, reading).await {
            Ok(answer) => Ok(answer?),
            Err(_) => Err(AskError::TimedOut.into()),
        }
    }

    fn hours_ago(&self, hours: u32) -> Timestamp {
        Timestamp(self.parts.clock.now() - TimeDelta::hours(i64::from(hours)))
    }
}
