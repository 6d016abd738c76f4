//! The daily clean-up, a little at a time so that nobody waits for it.

use std::time::Duration;

use chrono::TimeDelta;

use super::DatabaseWriterParts;
use crate::{
    domain::{store::StoreError, timestamp::Timestamp},
    messages::database_writer::DatabaseSnapshot,
    storage::StoreTransaction,
};

const DAY: Duration = Duration::from_secs(86_400);
/// Rows in one transaction; keeps it far below 50 ms.
const ROWS_AT_A_TIME: u32 = 1_000;
/// Leaves room for other programs between two transactions.
const BREATH: Duration = Duration::from_millis(50);
/// An ingestion key makes a repetition harmless for this long.
const INGESTION_KEYS_LIVE: TimeDelta = TimeDelta::days(7);

pub(super) struct Cleaner {
    parts: DatabaseWriterParts,
    due_at: Duration,
    kind: usize,
}

impl Cleaner {
    pub(super) fn new(parts: &DatabaseWriterParts) -> Self {
        let due_at =
            parts.clock.elapsed() + parts.seed.until_due("cleanup", DAY, parts.clock.now());
        Self {
            parts: parts.clone(),
            due_at,
            kind: 0,
        }
    }

    pub(super) fn until_due(&self) -> Duration {
        self.due_at.saturating_sub(self.parts.clock.elapsed())
    }

    /// One small step of the clean-up; the next one is due after a breath, or tomorrow.
    pub(super) async fn clean_if_due(&mut self) {
        if !self.until_due().is_zero() {
            return;
        }
        if !self.parts.published.read(DatabaseSnapshot::leads) {
            return self.rest_until_tomorrow();
        }
        let now = self.parts.clock.elapsed();
        match self.clean_some().await {
            Ok(deleted) if deleted >= u64::from(ROWS_AT_A_TIME) => self.due_at = now + BREATH,
            Ok(_) if self.kind < 2 => {
                self.kind += 1;
                self.due_at = now + BREATH;
            }
            Ok(_) => self.rest_until_tomorrow(),
            Err(failure) => {
                tracing::warn!(%failure, "the clean-up failed and is tried again tomorrow");
                self.rest_until_tomorrow();
            }
        }
    }

    fn rest_until_tomorrow(&mut self) {
        self.kind = 0;
        self.due_at = self.parts.clock.elapsed()
            + self
                .parts
                .seed
                .until_due("cleanup", DAY, self.parts.clock.now());
    }

    async fn clean_some(&self) -> Result<u64, StoreError> {
        let mut transaction = self.parts.store.begin().await?;
        let _transaction = self.parts.metrics.time_transaction("clean_up");
        let deleted = self.delete(transaction.as_mut()).await?;
        transaction.commit().await?;
        Ok(deleted)
    }

    async fn delete(&self, transaction: &mut dyn StoreTransaction) -> Result<u64, StoreError> {
        let settings = &self.parts.settings;
        let before = |age: TimeDelta| Timestamp(self.parts.clock.now() - age);
        let days = |days: u32| TimeDelta::days(i64::from(days));
        match self.kind {
            0 => {
                transaction
                    .delete_synchronized_before(
                        before(days(settings.synchronized_retention_days)),
                        ROWS_AT_A_TIME,
                    )
                    .await
            }
            1 => {
                transaction
                    .delete_sync_log_before(
                        before(days(settings.sync_log_retention_days)),
                        ROWS_AT_A_TIME,
                    )
                    .await
            }
            _ => {
                transaction
                    .delete_ingestion_keys_before(before(INGESTION_KEYS_LIVE), ROWS_AT_A_TIME)
                    .await
            }
        }
    }
}
