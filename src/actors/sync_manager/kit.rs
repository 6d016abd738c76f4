//! What a pass works with, what can cut it short, and what it counts.

use std::{cell::Cell, rc::Rc, sync::Arc, time::Duration};

use tokio::sync::watch;
use tracing::Span;

use super::{
    delivery::{DeliveryLine, LONGEST_SETTLING},
    unsettled::Unsettled,
};
use crate::{
    clock::Clock,
    domain::{
        pass::{PassEnd, PassTrigger},
        store::StoreError,
    },
    messages::{api_client::ApiClientSnapshot, sync_manager::Setback},
    storage::SyncStore,
    supervision::{ask::AskError, progress::Work, published::Published},
};

/// A parked batch gets so many times the usual time for an answer, which fresh readings can wait as well.
pub(super) const PARKED_TIMEOUT_FACTOR: u32 = 3;

/// What may cut a pass short.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Interruption {
    /// Nothing.
    None,
    /// The pass is to end after the exchange in flight.
    Stop,
    /// The link went down.
    Offline(String),
}

impl Interruption {
    /// The end of a pass that is cut short.
    pub(super) fn end(&self) -> Option<PassEnd> {
        match self {
            Self::None => None,
            Self::Stop => Some(PassEnd::Stopped),
            Self::Offline(words) => Some(PassEnd::Offline {
                words: words.clone(),
            }),
        }
    }
}

/// What a pass counts while it runs.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Progress {
    pub(super) delivered: u64,
    pub(super) quarantined: u64,
    pub(super) failed: u64,
    pub(super) requests: u64,
}

/// What the settings and the Client System's wishes allow a pass.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Limits {
    /// Readings in a batch as a rule.
    pub(super) batch_size: usize,
    /// The most readings in a batch while requests are scarce.
    pub(super) batch_size_max: usize,
    /// The most uploads at once.
    pub(super) max_in_flight: usize,
    pub(super) max_retries: u32,
}

/// What a pass works with.
pub(super) struct PassKit {
    pub(super) id: u64,
    pub(super) trigger: PassTrigger,
    pub(super) clock: Clock,
    pub(super) store: Arc<dyn SyncStore>,
    pub(super) line: DeliveryLine,
    pub(super) interruption: watch::Receiver<Interruption>,
    /// Changes while the pass runs, which may be for hours.
    pub(super) limits: Rc<Cell<Limits>>,
    /// Whether somebody waits for the pass to end.
    pub(super) is_awaited: Rc<Cell<bool>>,
    /// What the Client System allows.
    pub(super) api_snapshot: Published<ApiClientSnapshot>,
    /// Whether uploads are spaced to take no more than so many bytes per second.
    pub(super) spares_bytes: bool,
    pub(super) timeout: Duration,
    pub(super) span: Span,
    /// Tells the supervisor that the pass gets on.
    pub(super) in_hand: Work,
    /// Whether the server accepted something since suspects were last condemned; outlives the pass.
    pub(super) server_accepts: Rc<Cell<bool>>,
    /// What could not be written down yet; outlives the pass.
    pub(super) unsettled: Rc<Unsettled>,
    /// Told whenever a count changes.
    pub(super) on_progress: Rc<dyn Fn(Progress)>,
    /// Told what holds up outcomes that could not be written down, and when nothing does any more.
    pub(super) on_unsettled: Rc<dyn Fn(Option<String>)>,
    /// Told of the batch that has failed for the longest time, and when none fails any more.
    pub(super) on_setback: Rc<dyn Fn(Option<Setback>)>,
}

impl PassKit {
    /// No step of a pass takes longer: an upload of a parked batch, and then all tries to write its outcome down.
    pub(super) fn longest_step(&self) -> Duration {
        longest_step(self.timeout)
    }

    /// Waits until something cuts the pass short.
    pub(super) async fn interrupted(&self) {
        let mut interruption = self.interruption.clone();
        // Whoever could interrupt it may have gone: that is one as well.
        let _ = interruption
            .wait_for(|interruption| *interruption != Interruption::None)
            .await;
    }

    /// A place at which a test can have the pass hang.
    pub(super) async fn hang_if_armed(&self) {
        self.line
            .failure_points
            .hang_if_armed("sync_manager.pass")
            .await;
    }

    /// Whether the Client System says how many requests it allows.
    pub(super) fn requests_are_limited(&self) -> bool {
        self.api_snapshot
            .read(|snapshot| snapshot.requests_limit.is_some())
    }

    /// Whether few requests are left, so that large batches are worth more than quick ones.
    pub(super) fn requests_are_scarce(&self) -> bool {
        self.api_snapshot
            .read(|snapshot| snapshot.requests_are_scarce)
    }

    /// The most uploads at once.
    pub(super) fn most_in_flight(&self) -> usize {
        self.limits.get().max_in_flight
    }

    /// Whether an upload may begin while others are under way.
    pub(super) fn may_overlap(&self) -> bool {
        !self.spares_bytes && !self.requests_are_scarce() && self.until_turn().is_zero()
    }

    /// How long the next upload has to wait for its turn.
    pub(super) fn until_turn(&self) -> Duration {
        let next = self.api_snapshot.read(|snapshot| snapshot.next_upload_at);
        next.saturating_sub(self.clock.elapsed())
    }
}

pub(super) fn longest_step(timeout: Duration) -> Duration {
    timeout * PARKED_TIMEOUT_FACTOR + LONGEST_SETTLING
}

/// Why a pass cannot go on; becomes its end.
pub(super) enum Broken {
    Store(StoreError),
    Ask(AskError),
    Delivery(String),
}

impl From<StoreError> for Broken {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<AskError> for Broken {
    fn from(error: AskError) -> Self {
        Self::Ask(error)
    }
}

impl From<Broken> for PassEnd {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::Store(error) => Self::DatabaseFailed {
                words: error.to_string(),
            },
            Broken::Ask(error) => Self::Interrupted {
                words: error.to_string(),
            },
            Broken::Delivery(words) => Self::Interrupted { words },
        }
    }
}
