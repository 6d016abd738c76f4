//! What is known about the Client System beyond a single call. Belongs to the process, not to one life of
//! the API client, and is remembered in the Sync Database.

use std::{cell::Cell, time::Duration};

use crate::{
    domain::{
        store::{Fact, StoreError},
        timestamp::Timestamp,
    },
    storage::SyncStore,
};

/// What is known about the Client System.
#[derive(Debug, Default)]
pub struct ServerKnowledge {
    /// Until when all calls wait.
    pub(super) held_until: Cell<Option<Timestamp>>,
    /// Whether it refuses compressed requests.
    pub(super) plain_requests: Cell<bool>,
    /// Whether it keeps the other rows of a request when one fails in its database.
    pub(super) keeps_rows_on_failure: Cell<Option<bool>>,
}

impl ServerKnowledge {
    /// What an earlier process has remembered.
    ///
    /// # Errors
    /// When the Sync Database cannot be read.
    pub async fn load(store: &dyn SyncStore, now: Timestamp) -> Result<Self, StoreError> {
        let held_until = store
            .fact(Fact::HeldUntil)
            .await?
            .and_then(|text| Timestamp::parse_zoned(&text));
        // A clock that was set back must not turn a pause of minutes into one of years.
        let latest = Timestamp(now.0 + crate::upstream::answer::LONGEST_PAUSE);
        let mode = store.fact(Fact::RowFailureMode).await?;
        Ok(Self {
            held_until: Cell::new(
                held_until
                    .map(|until| until.min(latest))
                    .filter(|until| *until > now),
            ),
            plain_requests: Cell::new(
                store.fact(Fact::PlainRequests).await?.as_deref() == Some("true"),
            ),
            keeps_rows_on_failure: Cell::new(mode.map(|mode| mode == "keeps")),
        })
    }

    /// The end of the pause, while it lasts.
    pub(super) fn hold_at(&self, now: Timestamp) -> Option<Timestamp> {
        // A clock that was set back must not make the pause longer than any server may ask for.
        let longest = Timestamp(now.0 + crate::upstream::answer::LONGEST_PAUSE);
        self.held_until
            .get()
            .filter(|until| *until > now && *until <= longest)
    }

    /// Lengthens the pause; a shorter wish changes nothing. Returns the end where it changed.
    pub(super) fn hold_for(&self, pause: Duration, now: Timestamp) -> Option<Timestamp> {
        let until = Timestamp(now.0 + pause);
        if self.held_until.get().is_some_and(|known| known >= until) {
            return None;
        }
        self.held_until.set(Some(until));
        Some(until)
    }
}
