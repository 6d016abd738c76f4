//! The shapes in which the service tells about itself. The field names are a contract with dashboards.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    access::RefusedCalls,
    connectivity::ConnectivityStatus,
    event::Event,
    local_certificate::ExpiringCertificate,
    pass::PassReport,
    store::{Attendance, Salvage},
    timestamp::Timestamp,
    words::SET_THE_RIGHT_KEY,
};

/// The service's state in a word. Where several hold, the first of this list is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// An operator stopped the uploading.
    Stopped,
    /// The Client System refuses everything, or is not what we think it is.
    Misconfigured,
    /// The Client System does not accept the API key.
    Unauthorized,
    /// The Client System cannot be reached.
    Offline,
    /// The Client System asked to be left alone for a while.
    RateLimited,
    /// Something needs attention, but readings are kept or move on.
    Degraded,
    /// A pass is uploading.
    Syncing,
    /// All is well.
    Ok,
}

impl State {
    /// All of them, the first that holds is told.
    pub const ALL: [Self; 8] = [
        Self::Stopped,
        Self::Misconfigured,
        Self::Unauthorized,
        Self::Offline,
        Self::RateLimited,
        Self::Degraded,
        Self::Syncing,
        Self::Ok,
    ];

    /// The name that the contract gives it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Misconfigured => "misconfigured",
            Self::Unauthorized => "unauthorized",
            Self::Offline => "offline",
            Self::RateLimited => "rate_limited",
            Self::Degraded => "degraded",
            Self::Syncing => "syncing",
            Self::Ok => "ok",
        }
    }

    /// What it means, whatever the reason.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Stopped => "an operator stopped the uploading; readings are kept",
            Self::Misconfigured => {
                "the Client System refuses everything, or the address is not a Client System; readings are kept"
            }
            Self::Unauthorized => "the API key is not accepted; readings are kept",
            Self::Offline => "the Client System cannot be reached; readings are kept",
            Self::RateLimited => {
                "the Client System asked to be left alone for a while; readings are kept"
            }
            Self::Degraded => "something needs attention; readings are kept or move on",
            Self::Syncing => "a pass is uploading",
            Self::Ok => "all is well",
        }
    }

    /// What to do about it.
    pub fn remedy(self) -> &'static str {
        match self {
            Self::Stopped => "start it: `meterit-sync sync start`, or `POST /api/v1/sync/start`",
            Self::Misconfigured => {
                "check CLIENT_API_URL with whoever runs the Client System; it is tried again every 5 minutes"
            }
            Self::Unauthorized => SET_THE_RIGHT_KEY,
            Self::Offline => {
                "nothing, uploading resumes by itself; if it lasts, look at the network"
            }
            Self::RateLimited => "nothing, uploading resumes by itself",
            Self::Degraded => "read `reason`, which says what it is and what mends it",
            Self::Syncing | Self::Ok => "nothing",
        }
    }
}

/// What the sync manager says.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SyncStatus {
    /// Whether synchronisation is started.
    pub is_running: bool,
    /// When the last attempt ended.
    pub last_sync_time: Option<Timestamp>,
    /// Whether it succeeded; none before the first.
    pub last_sync_success: Option<bool>,
    /// What went wrong in it.
    pub last_sync_error: Option<String>,
    /// Readings that the Client System does not have yet; tells nothing while `queueSizeUnknown` holds.
    pub queue_size: u64,
    /// Whether nobody knows yet how many they are: the queue has not been counted since the start, or cannot be read.
    #[serde(default)]
    pub queue_size_unknown: bool,
    /// Readings uploaded since the process started.
    pub total_synced: u64,
    /// Readings in batches that were given up for a pass, since the process started.
    pub total_failed: u64,
    /// Whether the Client System answers, whatever it says.
    pub is_client_connected: bool,
}

/// Why readings are not taken although the Client System can be reached, before that is a state of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UploadTrouble {
    /// What the last sending brought.
    pub words: String,
    /// Since when nothing better has followed.
    pub since: Timestamp,
}

/// What is in the Sync Database, and how it develops.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct QueueStatus {
    /// Readings that wait, those in flight included; exact within 5 s of what other programs change. In SQLite that holds for
    /// up to 6.4 million: of more, it takes as much longer until a change in the midst of the queue shows, while others append.
    pub pending: u64,
    /// Readings in batches that were claimed and have no outcome yet.
    pub in_flight: u64,
    /// Readings set aside.
    pub quarantined: u64,
    /// When the oldest waiting reading came in.
    pub oldest_pending_at: Option<Timestamp>,
    /// Readings that leave the queue per second, averaged over the last minute, or over the last few uploads where these are
    /// further apart; 0 once none has followed for three times as long as usual, and for a minute.
    pub drain_rate_per_s: f64,
    /// Seconds until the queue is empty at this rate less that of what comes in; none while it does not shrink, and while
    /// nothing can be uploaded or no upload has followed for far longer than usual.
    pub eta_s: Option<f64>,
    /// Bytes free where the Sync Database lies; none where that cannot be known.
    pub disk_free_bytes: Option<u64>,
    /// Hours until the disk is full at the present growth; none while it does not grow.
    pub hours_until_full: Option<f64>,
    /// Since when the disk has been so full that there is no room for new readings; none while there is.
    pub disk_full_since: Option<Timestamp>,
    /// Bytes of the database's log that a program which has been reading for long keeps on the disk; none where that is not
    /// worth a word. Only SQLite has such a log.
    #[serde(default)]
    pub log_kept_bytes: Option<u64>,
    /// Bytes that the disk lacks for that log to be emptied into the database, without which little or nothing can be written;
    /// none where it lacks nothing.
    #[serde(default)]
    pub log_lacks_bytes: Option<u64>,
    /// Batches that could not be delivered and were set back.
    pub parked_batches: u64,
    /// What the last sending of one of these brought.
    #[serde(default)]
    pub parked_error: Option<String>,
    /// Uploads whose outcome stayed open, so that a Client System without de-duplication may hold them twice; over restarts, and
    /// of all instances.
    pub possibly_doubled_uploads: u64,
    /// The queue has not been counted since the start, or cannot be read, so that its numbers tell nothing.
    #[serde(default)]
    pub uncounted: bool,
}

/// What the heartbeat says.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct HeartbeatStatus {
    /// When the last one was tried.
    pub last_attempt_at: Option<Timestamp>,
    /// When the last one was accepted.
    pub last_success_at: Option<Timestamp>,
    /// What went wrong in the last one.
    pub last_error: Option<String>,
    /// Failures in a row.
    pub consecutive_failures: u32,
    /// When the first was refused since one was accepted; none while it takes them. That the Client System could not be reached
    /// meanwhile, or wanted to be left alone, changes nothing.
    #[serde(default)]
    pub failing_since: Option<Timestamp>,
    /// The server's clock in the last answer.
    pub server_time: Option<Timestamp>,
}

/// What the configuration downloader says.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct ConfigStatus {
    /// When the last download was tried.
    pub last_attempt_at: Option<Timestamp>,
    /// When the last good configuration came.
    pub last_success_at: Option<Timestamp>,
    /// What went wrong in the last download.
    pub last_error: Option<String>,
    /// The site's name.
    pub site: Option<String>,
    /// Meters in the last good configuration.
    pub meters: Option<u64>,
    /// The interval between passes, in minutes.
    pub sync_interval_minutes: Effective<u64>,
    /// The batch size.
    pub batch_size: Effective<usize>,
}

/// A setting that the Client System may change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Effective<T> {
    /// The value in force.
    pub value: T,
    /// Whether it is fixed by local settings, so that the Client System's wish is not followed.
    pub pinned: bool,
    /// What the Client System wants.
    pub wanted: Option<T>,
}

/// How an actor fares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ActorState {
    /// Takes messages.
    Running,
    /// Failed, and waits a moment before it takes messages again.
    Restarting,
    /// Ended.
    Stopped,
}

/// What the supervisor says about one actor.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ActorStatus {
    /// The actor's name.
    pub name: Cow<'static, str>,
    /// How it fares.
    pub state: ActorState,
    /// How often it was restarted since the process started.
    pub restarts: u64,
    /// Counts its lives; grows with every restart.
    pub generation: u64,
    /// What the last failure was.
    pub last_failure: Option<String>,
    /// When the last failure was.
    pub last_failure_at: Option<Timestamp>,
}

/// The whole truth.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ServiceStatus {
    /// The state in a word.
    pub state: State,
    /// The state in a sentence: what happened, what it means, what will fix it.
    pub reason: String,
    /// Since when. `ok` counts from the end of the last trouble, whatever passes there were since then.
    pub since: Timestamp,
    /// The sync manager.
    pub sync: SyncStatus,
    /// The link.
    pub connectivity: ConnectivityStatus,
    /// The queue.
    pub queue: QueueStatus,
    /// Heartbeats.
    pub heartbeat: HeartbeatStatus,
    /// Configuration downloads.
    pub config: ConfigStatus,
    /// Why readings are not taken, where uploading goes on all the same.
    #[serde(default)]
    pub upload_trouble: Option<UploadTrouble>,
    /// The last pass.
    pub last_pass: Option<PassReport>,
    /// The last events, newest first.
    pub recent_events: Vec<Event>,
    /// This instance among those that share the Sync Database; none while the database was never asked.
    pub instance: Option<Attendance>,
    /// What became of a damaged Sync Database, while that one is kept.
    pub salvage: Option<Salvage>,
    /// What became of those that were damaged before it, the newest first, while they are kept.
    #[serde(default)]
    pub earlier_salvages: Vec<Salvage>,
    /// All actors.
    pub actors: Vec<ActorStatus>,
    /// The certificate of the local API, where its end is near.
    #[serde(default)]
    pub expiring_certificate: Option<ExpiringCertificate>,
    /// Calls of the local API that were refused before anything was done.
    #[serde(default)]
    pub refused_calls: RefusedCalls,
    /// The program's version.
    pub version: Cow<'static, str>,
    /// Whole seconds since the process started.
    pub uptime_s: u64,
}
