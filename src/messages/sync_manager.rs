//! What may be said to the sync manager.

use actix::Message;
use tracing::Span;

use crate::domain::{
    pass::{PassEnd, PassReport},
    timestamp::Timestamp,
};

/// Start synchronisation; answers whether it was stopped before.
#[derive(Clone, Debug, Message)]
#[rtype(result = "bool")]
pub struct StartSync;

/// Stop synchronisation; answers whether it was running before. A pass under way ends after its exchange.
#[derive(Clone, Debug, Message)]
#[rtype(result = "bool")]
pub struct StopSync;

/// Start a pass now; answers with its number.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<u64, TriggerRefusal>")]
pub struct TriggerSync {
    /// What this pass belongs to.
    pub span: Span,
}

/// Join the pass that runs, if any, then run one that covers all that was committed before this message, and
/// answer with its outcome.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<PassReport, TriggerRefusal>")]
pub struct TriggerSyncAndWait {
    /// What this pass belongs to.
    pub span: Span,
}

/// The database holds readings that it did not hold before.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct FreshReadings;

/// End all work: let the exchange in flight finish, settle it, and take up nothing more.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct WindDown;

/// What the Client System wants of the schedule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Message)]
#[rtype(result = "()")]
pub struct ApplyWishes {
    /// Minutes between passes.
    pub sync_interval_minutes: Option<u32>,
    /// Readings per batch.
    pub batch_size: Option<usize>,
}

impl ApplyWishes {
    /// The form in which the Sync Database remembers them.
    pub fn to_fact(self) -> String {
        serde_json::json!({
            "sync_interval_minutes": self.sync_interval_minutes,
            "batch_size": self.batch_size,
        })
        .to_string()
    }

    /// Reads what [`ApplyWishes::to_fact`] wrote; none where the text is something else.
    pub fn from_fact(text: &str) -> Option<Self> {
        let json: serde_json::Value = serde_json::from_str(text).ok()?;
        let number = |field: &str| json.get(field)?.as_u64();
        Some(Self {
            sync_interval_minutes: number("sync_interval_minutes")
                .and_then(|minutes| u32::try_from(minutes).ok()),
            batch_size: number("batch_size").and_then(|size| usize::try_from(size).ok()),
        })
    }
}

/// Why no pass was started.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TriggerRefusal {
    /// One runs already.
    #[error("a sync pass is already running")]
    AlreadyRunning,
    /// Synchronisation is stopped.
    #[error("synchronisation is stopped; start it first")]
    Stopped,
    /// The Client System is not reachable.
    #[error("the Client System is not reachable: {0}")]
    Offline(String),
    /// The Client System asked to be left alone.
    #[error("the Client System asked to be left alone until {0}")]
    Held(Timestamp),
    /// The sync manager failed meanwhile.
    #[error(
        "the sync manager was restarted meanwhile; the readings are safe, ask again in a moment"
    )]
    Restarted,
}

/// What the sync manager publishes beside its status.
#[derive(Clone, Debug, Default)]
pub struct SyncManagerSnapshot {
    /// Whether synchronisation is started.
    pub running: bool,
    /// Since when it is stopped.
    pub stopped_since: Option<Timestamp>,
    /// The pass under way.
    pub current_pass: Option<CurrentPass>,
    /// The last pass that ended.
    pub last_pass: Option<PassReport>,
    /// Why uploading pauses, and since when: the key is not accepted, or everything is refused.
    pub pause: Option<(PassEnd, Timestamp)>,
    /// Since when passes fail without the cause being the link or the key.
    pub failing_since: Option<(PassEnd, Timestamp)>,
    /// What holds up outcomes that could not be written down, and since when.
    pub unsettled: Option<(String, Timestamp)>,
    /// The interval between passes in force, in minutes.
    pub interval_minutes: u64,
}

/// A pass under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CurrentPass {
    /// Its number.
    pub id: u64,
    /// When it started.
    pub started_at: Timestamp,
    /// Readings stored so far.
    pub delivered: u64,
    /// Of the batches that still fail, the one that has failed for the longest time; none while none does.
    pub setback: Option<Setback>,
}

/// A batch whose last sending brought nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setback {
    /// What happened.
    pub words: String,
    /// When the batch is sent again in this pass; none where it waits for the next one.
    pub again_at: Option<Timestamp>,
    /// When it first failed in this pass.
    pub since: Timestamp,
}
