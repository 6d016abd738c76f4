//! What is asked of a Sync Database and what it answers, whatever engine holds it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::timestamp::Timestamp;

/// Why the Sync Database did not do what was asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// Another program keeps the database locked; trying again later may help.
    #[error("the Sync Database is locked by another program: {0}")]
    Busy(String),
    /// The disk holds no more.
    #[error("the disk under the Sync Database is full: {0}")]
    Full(String),
    /// Another service instance has this queue.
    #[error(
        "another process already serves the Sync Database {0}; one process serves a queue in SQLite, so stop that one first"
    )]
    InUse(String),
    /// The database's tables cannot be taken over.
    #[error("the Sync Database cannot be taken over: {0}")]
    Unsuitable(String),
    /// The same idempotency key came with other contents.
    #[error(
        "the idempotency key {0:?} was used before with other readings; use a new key for new readings"
    )]
    KeyReused(String),
    /// Pages of the database cannot be read.
    #[error("the Sync Database is damaged: {0}")]
    Damaged(String),
    /// It does not answer at all.
    #[error("the Sync Database does not answer; it is asked again and again")]
    Silent,
    /// Any other failure of the engine.
    #[error("the Sync Database failed: {0}")]
    Failed(String),
}

impl StoreError {
    /// What to do about it, as the end of a sentence.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Busy(_) => {
                "find the program that keeps it locked (`fuser` or `lsof` on the file, `pg_stat_activity` in PostgreSQL), and let \
                 that program end its transaction; all goes on by itself then"
            }
            Self::Full(_) => "make room on that disk; all goes on by itself then",
            Self::InUse(_) | Self::Unsuitable(_) => "it needs a person; then restart the service",
            Self::KeyReused(_) => "use a new key",
            Self::Damaged(_) => "look at the disk",
            Self::Silent => {
                "look whether its disk hangs, or the database server and the network to it; a program that keeps it locked \
                 for long (`fuser` or `lsof` on the file, `pg_stat_activity` in PostgreSQL) may be the cause as well; all \
                 goes on by itself then"
            }
            Self::Failed(_) => {
                "look at the disk, the rights of the service's user and, where there is one, the database server; all goes on by \
                 itself then"
            }
        }
    }

    /// Whether only a person can change it, so that trying again by itself is of no use.
    pub fn needs_a_person(&self) -> bool {
        matches!(self, Self::InUse(_) | Self::Unsuitable(_))
    }
}

/// What became of a damaged database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Salvage {
    /// When it was replaced.
    pub at: Timestamp,
    /// Where the damaged one lies now.
    pub set_aside: String,
    /// Readings that were found and are in the new one.
    pub readings: u64,
    /// Readings that were found and may have been uploaded before: they are in quarantine as `possibly_stored`.
    pub quarantined: u64,
    /// Readings that waited and could not be read, at most; none where nobody can tell.
    pub lost_at_most: Option<u64>,
    /// Entries of the quarantine that could not be read, at most; none where nobody can tell.
    pub quarantine_lost_at_most: Option<u64>,
    /// Batches on their way whose keys could not be read, at most: their readings are sent again under new ones. None where
    /// nobody can tell.
    pub batches_lost_at_most: Option<u64>,
    /// What else was lost in part or as a whole, in words.
    pub also_lost: Vec<String>,
    /// Readings that another program wrote into the damaged one after that, and that were taken over.
    pub taken_in_later: u64,
    /// Ids up to this one were taken over, or given up.
    pub through: i64,
    /// What other programs may have written into the damaged one since then cannot be read where it lies.
    #[serde(default)]
    pub later_is_unreadable: bool,
}

/// Room on the disk that is kept for what empties the queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reserve {
    /// Nothing is kept: the engine's disk is not ours to look after, or has never had the room.
    #[default]
    None,
    /// It is there.
    Kept,
    /// It is there, and hardly anything else.
    AllThatIsLeft,
    /// The disk is full, and it was given up.
    InUse,
}

/// What is on its way to the Client System, whichever instance sends it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flight {
    /// Readings in all manifests.
    pub readings: u64,
    /// Manifests that are parked.
    pub parked: u64,
    /// What went wrong with one of these last.
    pub parked_error: Option<String>,
    /// Whether there are manifests of an instance that is gone.
    pub abandoned: bool,
}

/// What this instance is among those that share the Sync Database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Attendance {
    /// Whether what one instance does for all is this one's to do.
    pub leads: bool,
    /// Instances whose lease runs, this one included.
    pub instances: u64,
}

/// A page of a list and the length of the whole.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Page<T> {
    /// How many there are in all.
    pub total: i64,
    /// Those asked for.
    pub items: Vec<T>,
}

/// Which part of a list is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// How many at most.
    pub limit: u32,
    /// How many to pass over first.
    pub offset: u32,
}

/// What a request to store readings brought.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Ingested {
    /// How many readings of the request are stored durably.
    #[serde(rename = "stored")]
    pub count: usize,
    /// Whether an earlier request with the same key had stored them already; absent where not.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub repeated: bool,
}

/// What an action on quarantined readings did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct QuarantineActionResult {
    /// Entries that the action was carried out on.
    pub affected: u64,
    /// Entries passed over because they may be stored already and `accept_double` was not given.
    pub possibly_stored: u64,
    /// Entries passed over because they still cannot be sent, with the reason of the first.
    pub unreadable: u64,
    /// Why the first unreadable one cannot be sent.
    pub first_problem: Option<String>,
}

/// A durable set of facts about the Client System that outlive the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fact {
    /// Until when all calls wait (RFC 3339).
    HeldUntil,
    /// That the Client System refused compressed requests (a coding verdict).
    PlainRequests,
    /// Whether the Client System takes requests in Zstandard (a coding verdict).
    TakesZstd,
    /// The largest batch that the Client System takes.
    BatchSizeThatFits,
    /// Readings of refused batches of which the Client System took a part: what is left of them is what it refuses.
    PartlyTaken,
    /// How the Client System treats a failing row: "aborts" or "keeps".
    RowFailureMode,
    /// The last good configuration, JSON.
    Configuration,
    /// How many uploads may have doubled a batch on a server without de-duplication.
    PossiblyDoubledUploads,
}

impl Fact {
    /// The fact's name in the database.
    pub fn name(self) -> &'static str {
        match self {
            Self::HeldUntil => "held_until",
            Self::PlainRequests => "plain_requests",
            Self::TakesZstd => "takes_zstd",
            Self::BatchSizeThatFits => "batch_size_that_fits",
            Self::PartlyTaken => "partly_taken",
            Self::RowFailureMode => "row_failure_mode",
            Self::Configuration => "configuration",
            Self::PossiblyDoubledUploads => "possibly_doubled_uploads",
        }
    }
}
