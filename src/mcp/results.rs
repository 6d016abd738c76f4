//! What the tools answer with, where no shape of the API says it already. The field names are a contract.

use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::{
    connectivity::ConnectivityStatus,
    meter::Meter,
    quarantine::QuarantinedReading,
    reading::ReadingRow,
    status::{State, SyncStatus},
    sync_log::{SyncLogEntry, SyncStats},
};

/// How the synchronisation fares.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SyncOverview {
    /// The service's state in a word.
    pub(super) state: State,
    /// The state in a sentence: what happened, what it means, what will fix it.
    pub(super) reason: String,
    /// What the sync manager says.
    pub(super) sync_status: SyncStatus,
    /// The link to the Client System.
    pub(super) connectivity: ConnectivityStatus,
    /// Sums over the operation log of the last 24 hours.
    pub(super) stats_24h: SyncStats,
    /// The last entries of the operation log, newest first.
    pub(super) recent_logs: Vec<SyncLogEntry>,
}

/// What a triggered sync brought.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SyncOutcome {
    /// Whether all readings that were waiting have been dealt with.
    pub(super) success: bool,
    /// What happened, in a sentence.
    pub(super) message: String,
    /// Readings that waited before.
    pub(super) queue_size_before: u64,
    /// Readings that wait now.
    pub(super) queue_size_after: u64,
    /// Whether the last pass succeeded; none before the first.
    pub(super) last_sync_success: Option<bool>,
}

/// Local readings.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ReadingsFound {
    /// How many there are in `readings`.
    pub(super) count: usize,
    /// How many there are in that time among the 100,000 that came in last; a longer backlog is not looked through.
    pub(super) total: i64,
    /// The latest of them first.
    pub(super) readings: Vec<ReadingRow>,
}

/// Active meters, each with the time of its last reading.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct MetersFound {
    /// How many there are in `meters`.
    pub(super) count: usize,
    /// By name, at most 1000.
    pub(super) meters: Vec<Meter>,
}

/// A part of the quarantine.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct QuarantineFound {
    /// How many there are in all.
    pub(super) total: i64,
    /// Those asked for, newest first.
    pub(super) items: Vec<QuarantinedReading>,
}
