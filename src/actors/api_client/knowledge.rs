//! What is known about the Client System beyond a single call. Belongs to the process, not to one life of
//! the API client, and is remembered in the Sync Database.

use std::{
    cell::{Cell, RefCell},
    time::Duration,
};

use crate::{
    domain::{
        coding_verdict::CodingVerdict,
        request_budget::RequestBudget,
        store::{Fact, StoreError},
        timestamp::Timestamp,
    },
    storage::SyncStore,
    upstream::answer::LONGEST_PAUSE,
};

/// What is known about the Client System.
#[derive(Debug, Default)]
pub struct ServerKnowledge {
    /// Until when all calls wait.
    pub(super) held_until: Cell<Option<Timestamp>>,
    /// Whether it takes compressed requests at all; none before it has refused one.
    pub(super) takes_compression: Cell<Option<CodingVerdict>>,
    /// Whether it takes requests in Zstandard; none before it has let know.
    pub(super) takes_zstd: Cell<Option<CodingVerdict>>,
    /// Whether it keeps the other rows of a request when one fails in its database.
    pub(super) keeps_rows_on_failure: Cell<Option<bool>>,
    /// What is left of the requests that it allows.
    pub(super) budget: RefCell<RequestBudget>,
    /// Requests under way.
    pub(super) in_flight: Cell<u64>,
    /// When the next upload may begin, on the clock that never goes back.
    pub(super) next_upload_at: Cell<Duration>,
}

impl ServerKnowledge {
    /// Takes over what an earlier process has remembered; of codings, what it has remembered `about_codings`.
    ///
    /// # Errors
    /// When the Sync Database cannot be read; then everything stays as it is.
    pub async fn recall(
        &self,
        store: &dyn SyncStore,
        about_codings: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let held_until = store.fact(Fact::HeldUntil).await?;
        let plain_requests = store.fact(Fact::PlainRequests).await?;
        let takes_zstd = store.fact(Fact::TakesZstd).await?;
        let mode = store.fact(Fact::RowFailureMode).await?;
        let held_until = held_until.and_then(|text| Timestamp::parse_zoned(&text));
        // A clock that was set back must not turn a pause of minutes into one of years.
        let latest = Timestamp(now.0 + LONGEST_PAUSE);
        self.held_until.set(
            held_until
                .map(|until| until.min(latest))
                .filter(|until| *until > now),
        );
        let verdict = |kept: Option<String>| CodingVerdict::decode(&kept?, about_codings);
        self.takes_compression.set(verdict(plain_requests));
        self.takes_zstd.set(verdict(takes_zstd));
        self.keeps_rows_on_failure
            .set(mode.map(|mode| mode == "keeps"));
        Ok(())
    }

    /// The end of the pause, while it lasts.
    pub(super) fn hold_at(&self, now: Timestamp) -> Option<Timestamp> {
        // A clock that was set back must not make the pause longer than any server may ask for.
        let longest = Timestamp(now.0 + LONGEST_PAUSE);
        self.held_until
            .get()
            .filter(|until| *until > now && *until <= longest)
    }

    /// Lengthens the pause; a shorter wish changes nothing. Returns the end where it changed.
    pub(super) fn hold_for(&self, pause: Duration, now: Timestamp) -> Option<Timestamp> {
        let until = now.later_by(pause);
        if self.held_until.get().is_some_and(|known| known >= until) {
            return None;
        }
        self.held_until.set(Some(until));
        Some(until)
    }
}
