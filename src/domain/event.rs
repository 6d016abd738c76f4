//! What happens in the service, as told to whoever watches.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    connectivity::LinkChange,
    pass::{PassReport, PassTrigger},
    timestamp::Timestamp,
};

/// Something worth telling an operator.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Event {
    /// Counts the events of a process.
    #[serde(skip)]
    pub number: u64,
    /// When it happened.
    pub at: Timestamp,
    /// What happened.
    #[serde(flatten)]
    pub kind: EventKind,
}

/// The kinds of events.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", tag = "event")]
pub enum EventKind {
    /// The link changed.
    Link {
        /// In which direction.
        change: LinkChange,
        /// Why, where it went down; where it came up, what keeps what answers from being taken for well.
        reason: Option<String>,
    },
    /// A pass started.
    PassStarted {
        /// Its number.
        id: u64,
        /// What started it.
        trigger: PassTrigger,
    },
    /// A pass ended.
    PassFinished(PassReport),
    /// An actor was restarted.
    ActorRestarted {
        /// Which.
        actor: Cow<'static, str>,
        /// Why.
        failure: String,
    },
}
