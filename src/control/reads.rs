//! Questions that the Sync Database answers. They read what is committed and never wait for the writer.

use std::{future::Future, time::Duration};

use chrono::TimeDelta;
use tokio::sync::Semaphore;

use super::{Control, ControlError};
use crate::{
    domain::{
        history::{History, minute_of},
        meter::Meter,
        reading::ReadingRow,
        store::{Page, StoreError, Window},
        sync_log::{SyncLogEntry, SyncStats},
        timestamp::Timestamp,
    },
    supervision::ask::AskError,
};

/// More meters than any site has.
const MOST_METERS: u32 = 1_000;

/// The most questions that wait for an answer at once.
const MOST_QUESTIONS: usize = 32;

/// Questions take turns: whoever asks much waits for his own answers, and takes neither the connections nor the processors that
/// uploading and storing need.
pub(super) struct Questions {
    turn: Semaphore,
    waiting: Semaphore,
}

impl Default for Questions {
    fn default() -> Self {
        Self {
            turn: Semaphore::new(1),
            waiting: Semaphore::new(MOST_QUESTIONS),
        }
    }
}

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

    /// What the service looked like in the last hours, the minute that has just begun left out.
    ///
    /// # Errors
    /// When the Sync Database does not answer.
    pub async fn history(&self, hours: u32) -> Result<History, ControlError> {
        let end = minute_of(self.now());
        let first = end - i64::from(hours) * 60;
        let kept = self.read(self.parts.store.samples(first..end)).await?;
        Ok(History::new(first, end, &kept))
    }

    /// Known meters by name.
    ///
    /// # Errors
    /// When the Sync Database does not answer.
    pub async fn meters(&self, window: Window) -> Result<Page<Meter>, ControlError> {
        self.read(self.parts.store.meters(window)).await
    }

    /// The first [`MOST_METERS`] active meters by name; the one with this external id where given.
    ///
    /// # Errors
    /// When the one asked for is not there, or the Sync Database does not answer.
    pub async fn active_meters(
        &self,
        external_id: Option<&str>,
    ) -> Result<Vec<Meter>, ControlError> {
        let is_meant = |meter: &Meter| {
            meter.is_active && external_id.is_none_or(|wanted| wanted == meter.external_id)
        };
        let mut window = Window {
            limit: MOST_METERS,
            offset: 0,
        };
        let mut found = Vec::new();
        loop {
            let items = self.meters(window).await?.items;
            let is_last = items.len() < window.limit as usize;
            found.extend(items.into_iter().filter(is_meant));
            if is_last || found.len() >= MOST_METERS as usize {
                break;
            }
            window.offset += window.limit;
        }
        found.truncate(MOST_METERS as usize);
        match external_id {
            Some(wanted) if found.is_empty() => Err(no_meter(wanted)),
            _ => Ok(found),
        }
    }

    /// Local readings measured in the last hours, newest first, among the 100,000 that came in last; of one meter where
    /// given.
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
        let place = self.questions.waiting.try_acquire();
        let _place = place.map_err(|_| ControlError::TooManyQuestions(MOST_QUESTIONS))?;
        let in_turn = async {
            let _turn = self.questions.turn.acquire().await;
            reading.await
        };
        let patience: Duration = self.parts.patience.database;
        match tokio::time::timeout(patience, in_turn).await {
            Ok(answer) => Ok(answer?),
            Err(_) => Err(AskError::TimedOut.into()),
        }
    }

    fn hours_ago(&self, hours: u32) -> Timestamp {
        Timestamp(self.parts.clock.now() - TimeDelta::hours(i64::from(hours)))
    }
}

fn no_meter(external_id: &str) -> ControlError {
    ControlError::NotFound(format!(
        "no active meter has the external id {external_id:?}; GET /api/v1/meters lists those that are known"
    ))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use futures_util::future::join_all;

    use super::*;
    use crate::control::testing::control;

    #[actix_web::test]
    async fn questions_take_turns_and_no_more_wait_than_may() {
        let control = control(|_| {});
        let under_way = Cell::new(0);
        let question = async || {
            under_way.set(under_way.get() + 1);
            tokio::task::yield_now().await;
            assert_eq!(under_way.replace(0), 1, "one at a time");
            Ok(())
        };
        for _ in 0..2 {
            let asked = (0..MOST_QUESTIONS + 5).map(|_| control.read(question()));
            let answers = join_all(asked).await;
            let is_refused = |answer: &Result<(), ControlError>| {
                matches!(answer, Err(ControlError::TooManyQuestions(_)))
            };
            assert_eq!(
                answers.iter().filter(|answer| is_refused(answer)).count(),
                5
            );
            assert!(answers[..MOST_QUESTIONS].iter().all(Result::is_ok));
        }
    }
}
