//! What is told where the Sync Database fails, or does not answer.

use std::{future::Future, time::Duration};

use super::DatabaseWriterParts;
use crate::{clock::Clock, domain::store::StoreError};

/// A change that takes longer is told of before it is given up. A lock of another program is found out sooner.
const SILENCE: Duration = Duration::from_secs(7);

impl DatabaseWriterParts {
    /// Publishes that the database cannot be used.
    pub(super) fn tell_failure(&self, failure: &StoreError) {
        let words = failure.to_string();
        let known = self
            .published
            .read(|snapshot| snapshot.failing_since.clone());
        // A database that stays away would fill the log with the same line every other second.
        if known.as_ref().is_none_or(|(told, _)| *told != words) {
            tracing::error!(%failure, "the sync database cannot be used; everything waits for it");
        }
        let since = known.map_or_else(|| self.clock.now().into(), |(_, since)| since);
        self.published.update(|snapshot| {
            snapshot.failing_since = Some((words, since));
            snapshot.failure = Some(failure.clone());
            snapshot.is_damaged = matches!(failure, StoreError::Damaged(_));
        });
    }

    /// Does a piece of work, and tells meanwhile where the database leaves it without an answer for long.
    pub(super) async fn told_if_silent<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        // A disk hangs in real time, even where a test holds time still.
        let clock = Clock::system();
        tokio::select! {
            biased;
            done = work.as_mut() => return done,
            () = clock.sleep(SILENCE) => self.tell_failure(&StoreError::Silent),
        }
        work.await
    }
}
