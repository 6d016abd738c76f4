//! The operation log: one row for every batch that was settled or given up.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::timestamp::Timestamp;

/// A row of `sync_log`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SyncLogEntry {
    /// The row's key.
    pub id: i64,
    /// Readings in the batch.
    pub batch_size: i64,
    /// Whether the Client System stored it.
    pub success: bool,
    /// What went wrong.
    pub error_message: Option<String>,
    /// When.
    pub synced_at: Option<Timestamp>,
}

/// Sums over the operation log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SyncStats {
    /// Batches settled or given up.
    pub total_syncs: i64,
    /// Those that were stored.
    pub successful_syncs: i64,
    /// Those that were not.
    pub failed_syncs: i64,
    /// Readings in the stored ones.
    pub total_readings_synced: i64,
    /// Percent of batches that were stored, two decimals; 0 without any.
    pub success_rate: f64,
}

impl SyncStats {
    /// Completes the sums with the rate.
    pub fn new(successful_syncs: i64, failed_syncs: i64, total_readings_synced: i64) -> Self {
        let total_syncs = successful_syncs + failed_syncs;
        #[expect(
            clippy::cast_precision_loss,
            reason = "counts of log rows stay far below 2^52"
        )]
        let percent = if total_syncs == 0 {
            0.0
        } else {
            successful_syncs as f64 * 100.0 / total_syncs as f64
        };
        Self {
            total_syncs,
            successful_syncs,
            failed_syncs,
            total_readings_synced,
            success_rate: (percent * 100.0).round() / 100.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_percent_with_two_decimals() {
        assert_eq!(SyncStats::new(2, 1, 2000).success_rate.to_string(), "66.67");
        assert_eq!(SyncStats::new(0, 0, 0).success_rate.to_string(), "0");
        assert_eq!(SyncStats::new(7, 0, 1).success_rate.to_string(), "100");
    }
}
