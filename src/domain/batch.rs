//! Batches on their way to the Client System, and what is written down about them before they leave.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{reading_ids::ReadingIds, timestamp::Timestamp};

/// Names one batch for good: the same key always goes with the same bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct IdempotencyKey(pub String);

impl std::fmt::Display for IdempotencyKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Where a batch stands between claim and outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ManifestState {
    /// Waits for its outcome; repeated first, under its key.
    Live,
    /// A piece of a refused batch that waits to be sent for the first time.
    Part,
    /// A single reading that was refused, kept aside until the Client System proves that it takes others.
    Suspect,
    /// Failed in several passes in a row, or its key was refused; steps back so that the others proceed.
    Parked,
}

impl ManifestState {
    const ALL: [Self; 4] = [Self::Live, Self::Part, Self::Suspect, Self::Parked];

    /// The state's name in the Sync Database.
    pub fn name(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Part => "part",
            Self::Suspect => "suspect",
            Self::Parked => "parked",
        }
    }

    /// The state of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}

/// What is durable about a claimed batch before its first byte is sent, all but the body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// The batch's name towards the Client System.
    pub key: IdempotencyKey,
    /// The batch of which this is a part after a refusal; its own key where it is whole.
    pub root: IdempotencyKey,
    /// Exactly the readings in the body, in the body's order.
    pub reading_ids: ReadingIds,
    /// How often it was, or may have been, sent; a suspect with the batch in which the server named it.
    pub attempts: u32,
    /// For how many passes in a row it was given up.
    pub failed_passes: u32,
    /// Where it stands.
    pub state: ManifestState,
    /// The last refusal or failure in words.
    pub last_error: Option<String>,
    /// The HTTP status of the last refusal.
    pub last_status: Option<u16>,
    /// When its readings were claimed.
    pub claimed_at: Timestamp,
    /// How often it changed hands between instances; outcomes of earlier hands no longer count.
    pub epoch: u32,
}

impl Manifest {
    /// Whether it was, or may have been, sent before its last sending, so that the Client System may have it whatever became
    /// of that one.
    pub fn is_repeated(&self) -> bool {
        self.attempts > 1
    }
}

/// A claimed batch with its body.
#[derive(Clone, Debug)]
pub struct Batch {
    /// What is written down about it.
    pub manifest: Manifest,
    /// The JSON body, compressed; what it decompresses to never changes for a key.
    pub body: Arc<[u8]>,
}

impl Batch {
    /// How many readings it holds.
    pub fn len(&self) -> usize {
        self.manifest.reading_ids.len()
    }

    /// Whether it holds none; a claimed batch never does.
    pub fn is_empty(&self) -> bool {
        self.manifest.reading_ids.is_empty()
    }
}

/// Which pending readings to claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClaimOrder {
    /// The oldest, by id.
    Oldest,
    /// The oldest among those with a higher id than this: fresh readings while an old backlog drains.
    After(i64),
}

/// What to do with a batch once its fate is known. All of it happens in one transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// All readings are stored: delete or mark them.
    Stored,
    /// The given positions were not stored and go to quarantine; the rest is stored.
    PartlyStored {
        /// Which, and the server's words.
        rejected: Vec<super::outcome::RejectedReading>,
        /// Whether the rejected ones may be stored nevertheless.
        possibly_stored: bool,
        /// HTTP status of the answer.
        status: u16,
    },
    /// Nothing is stored, and nothing was wrong with the batch but its company or size: send these parts instead.
    Split {
        /// Positions in the body, a list for every part.
        parts: Vec<Vec<usize>>,
        /// Single readings that the server named: kept aside as suspects.
        suspects: Vec<super::outcome::RejectedReading>,
        /// HTTP status of the refusal.
        status: u16,
        /// The server's words.
        words: String,
    },
    /// A single reading was refused: keep it aside.
    Suspect {
        /// HTTP status of the refusal.
        status: u16,
        /// The server's words.
        words: String,
    },
    /// The outcome is still open after all tries of this pass: the manifest stays for the next one.
    GiveUp {
        /// What the last try brought.
        words: String,
        /// Whether the batch now steps back for others.
        park: bool,
    },
    /// The try brought nothing and does not count against the batch: the manifest stays as it is.
    Postpone {
        /// What happened, for the operation log; none where there is nothing worth a row.
        words: Option<String>,
        /// Whether the try may have stored something all the same.
        sent: bool,
    },
}
