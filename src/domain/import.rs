//! Moving a queue into another database: how far it has come, and the account of it.

use serde::{Deserialize, Serialize};

/// What has been moved. Every reading counts in exactly one of the first three.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ImportAccount {
    /// Readings that wait for their upload, those in batches among them.
    pub pending: u64,
    /// Readings that were uploaded and are kept for a while.
    pub synchronized: u64,
    /// Readings that the new database cannot hold as they are; they are in its quarantine.
    pub set_aside: u64,
    /// Batches on their way, each with its key and its bytes.
    pub batches: u64,
    /// Readings that were in quarantine already.
    pub quarantined: u64,
    /// What was noted about the quarantine.
    pub audit: u64,
    /// Rows of the operation log.
    pub sync_log: u64,
    /// Remembered keys of requests that stored readings.
    pub ingestion_keys: u64,
}

impl ImportAccount {
    /// Every number with what it counts.
    pub fn rows(&self) -> [(&'static str, u64); 8] {
        [
            ("pending readings", self.pending),
            ("readings kept as synchronized", self.synchronized),
            ("readings set aside in the new quarantine", self.set_aside),
            ("batches on their way", self.batches),
            ("quarantined readings", self.quarantined),
            ("rows of the quarantine's audit", self.audit),
            ("rows of the operation log", self.sync_log),
            ("ingestion keys", self.ingestion_keys),
        ]
    }

    /// The sum of two accounts.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        Self {
            pending: self.pending + other.pending,
            synchronized: self.synchronized + other.synchronized,
            set_aside: self.set_aside + other.set_aside,
            batches: self.batches + other.batches,
            quarantined: self.quarantined + other.quarantined,
            audit: self.audit + other.audit,
            sync_log: self.sync_log + other.sync_log,
            ingestion_keys: self.ingestion_keys + other.ingestion_keys,
        }
    }

    /// Rows of the readings' table that have left it.
    pub fn readings(&self) -> u64 {
        self.pending + self.synchronized + self.set_aside
    }
}

/// What is copied and stays where it is, for other programs may need it there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImportCopies {
    /// Meters.
    pub meters: u64,
    /// Meters that the new database cannot hold; a configuration brings them again.
    pub meters_passed_over: u64,
    /// Remembered facts.
    pub facts: u64,
}

/// How an import ended.
#[derive(Clone, Copy, Debug)]
pub struct ImportOutcome {
    /// Moved by this run.
    pub by_this_run: ImportAccount,
    /// Moved by all runs, those among them that were interrupted.
    pub in_all: ImportAccount,
    /// Copied.
    pub copies: ImportCopies,
}

/// A point in the way of one chunk; whatever happens there, a new run goes on without loss or double.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ImportStage {
    /// It was read.
    Read,
    /// It is in the new database, but not committed.
    Written,
    /// It is in both.
    Committed,
    /// It is in the new database only.
    Moved,
}

/// Where an import stands.
#[derive(Clone, Copy, Debug)]
pub struct ImportProgress {
    /// The chunk's number, counted over all runs.
    pub step: i64,
    /// Where this one stands.
    pub stage: ImportStage,
    /// Readings that this run has moved.
    pub readings: u64,
    /// Readings that there were to move when this run began.
    pub expected: u64,
}
