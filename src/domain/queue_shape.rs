//! What a queue looks like to somebody who only looks: counts by state, ages, and why readings were set aside.

use serde::Serialize;

use super::{reading::ReadingId, timestamp::Timestamp};

/// What a queue looks like.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct QueueShape {
    /// Readings that wait, those on their way included.
    pub pending: u64,
    /// When the oldest of the first to be sent came in.
    pub oldest_pending_at: Option<Timestamp>,
    /// The highest id of all readings.
    pub highest_id: Option<ReadingId>,
    /// Readings that were uploaded and are kept for a while.
    pub synchronized: u64,
    /// Batches on their way, by state.
    pub batches: Vec<BatchGroup>,
    /// Readings that were set aside, by reason and status.
    pub quarantine: Vec<QuarantineGroup>,
    /// Until when the Client System wants to be left alone, as far as it is written down.
    pub held_until: Option<Timestamp>,
}

/// Batches in the same state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BatchGroup {
    /// Their state.
    pub state: String,
    /// How many they are.
    pub batches: u64,
    /// Readings in them.
    pub readings: u64,
    /// When the oldest was put together.
    pub oldest_claimed_at: Option<Timestamp>,
    /// How often the one that was sent most was sent.
    pub most_attempts: u64,
    /// What went wrong with that one last.
    pub last_error: Option<String>,
}

/// Readings that were set aside for the same reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct QuarantineGroup {
    /// The reason.
    pub reason: String,
    /// The HTTP status of the refusal.
    pub status: Option<i64>,
    /// How many they are.
    pub readings: u64,
    /// When the first was set aside.
    pub since: Option<Timestamp>,
    /// When the last was.
    pub until: Option<Timestamp>,
    /// What the last refusal said.
    pub last_message: Option<String>,
}
