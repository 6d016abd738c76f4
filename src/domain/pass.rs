//! Sync passes: why one starts, why one does not, how one ends.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::timestamp::Timestamp;

/// What started a pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PassTrigger {
    /// The service, or its sync manager, started.
    StartUp,
    /// The interval came round.
    Schedule,
    /// The Client System became reachable.
    Connected,
    /// The database holds readings that it did not hold before.
    FreshReadings,
    /// An operator asked.
    Manual,
    /// The time that the Client System wanted to be left alone is over.
    HoldEnded,
    /// The Client System accepts the key again.
    Probe,
}

/// Why a pass does not start or does not go on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum PassEnd {
    /// The queue is empty.
    Drained,
    /// Synchronisation is stopped.
    Stopped,
    /// The Client System is not reachable.
    Offline {
        /// What was seen.
        words: String,
    },
    /// The Client System asked for a pause.
    Held {
        /// When it ends.
        until: Timestamp,
    },
    /// The Client System does not accept the key.
    Unauthorized {
        /// The server's words.
        words: String,
    },
    /// The Client System refuses everything, or answers as nothing that we know.
    Misconfigured {
        /// What was seen.
        words: String,
    },
    /// A batch failed more often than MAX_RETRIES allows; it is repeated first in the next pass.
    GivenUp {
        /// What the last try brought.
        words: String,
    },
    /// The Sync Database cannot be used.
    DatabaseFailed {
        /// What it said.
        words: String,
    },
    /// The pass was cut short by a restart of a part of the service.
    Interrupted {
        /// What happened.
        words: String,
    },
}

impl PassEnd {
    /// Whether the pass did what it is for.
    pub fn is_success(&self) -> bool {
        matches!(self, Self::Drained)
    }

    /// One sentence for people.
    pub fn describe(&self) -> String {
        match self {
            Self::Drained => "the queue was uploaded".to_owned(),
            Self::Stopped => "synchronisation is stopped".to_owned(),
            Self::Offline { words } => format!("the Client System is not reachable: {words}"),
            Self::Held { until } => {
                format!("the Client System asked to be left alone until {until}")
            }
            Self::Unauthorized { words }
            | Self::Misconfigured { words }
            | Self::GivenUp { words } => words.clone(),
            Self::DatabaseFailed { words } => format!("the Sync Database cannot be used: {words}"),
            Self::Interrupted { words } => format!("the pass was interrupted: {words}"),
        }
    }
}

/// A finished pass.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PassReport {
    /// Counts passes since the process started.
    pub id: u64,
    /// What started it.
    pub trigger: PassTrigger,
    /// When it started.
    pub started_at: Timestamp,
    /// When it ended.
    pub finished_at: Timestamp,
    /// Readings that the Client System stored.
    pub delivered: u64,
    /// Readings that went to quarantine.
    pub quarantined: u64,
    /// Readings in batches that were given up for this pass.
    pub failed: u64,
    /// Requests that were sent for it.
    pub requests: u64,
    /// How it ended.
    pub end: PassEnd,
}

impl PassReport {
    /// This pass and the one before it as one, for whoever waited for both.
    pub fn including(&self, before: &Self) -> Self {
        Self {
            started_at: before.started_at,
            delivered: before.delivered + self.delivered,
            quarantined: before.quarantined + self.quarantined,
            failed: before.failed + self.failed,
            requests: before.requests + self.requests,
            ..self.clone()
        }
    }
}
