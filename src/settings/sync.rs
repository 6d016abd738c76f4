//! When readings are uploaded, how many at once, and what is kept afterwards.

use std::{ops::RangeInclusive, time::Duration};

use super::reader::Reader;
use crate::domain::compression::UploadCompression;

const COMPRESSION_ALLOWED: &str = "`auto`, `gzip`, `gzip-fast`, `zstd` or `none`";

/// When readings are uploaded, how many at once, and what is kept afterwards.
#[derive(Clone, Debug)]
pub struct SyncSettings {
    /// The time between scheduled passes, in whole minutes.
    pub interval: Duration,
    /// The most readings in one batch, at least 1.
    pub batch_size: usize,
    /// The most readings in a batch while the Client System allows few requests only; also a limit on `batch_size`.
    pub batch_size_max: Option<usize>,
    /// The most bytes per second that uploads take on average.
    pub max_bytes_per_second: Option<u64>,
    /// How uploads are compressed.
    pub upload_compression: UploadCompression,
    /// The most uploads that are under way at once, at least 1.
    pub max_in_flight: usize,
    /// How often a batch that failed ambiguously is repeated within one pass.
    pub max_retries: u32,
    /// Whether passes start by themselves; otherwise only a manual trigger starts one.
    pub auto: bool,
    /// The interval was set locally: one that comes with a configuration download does not apply.
    pub pinned_interval: bool,
    /// The batch size was set locally: one that comes with a configuration download does not apply.
    pub pinned_batch_size: bool,
    /// Mark uploaded readings and let the cleanup delete them, instead of deleting them at once.
    pub keep_synchronized: bool,
    /// Days that marked readings are kept.
    pub synchronized_retention_days: u32,
    /// Days that entries of the operation log are kept.
    pub sync_log_retention_days: u32,
}

impl SyncSettings {
    pub(super) fn read(reader: &mut Reader) -> Option<Self> {
        let interval = reader.minutes("sync_interval_minutes", 1..=1_440);
        let batch_size = reader.whole_number("batch_size", "readings", 1..=100_000);
        let batch_size_max = optional(reader, "batch_size_max", "readings", 1..=100_000);
        let max_bytes = optional(
            reader,
            "upload_max_bytes_per_second",
            "bytes per second",
            100..=1_000_000_000,
        );
        let compression = reader.text("upload_compression", COMPRESSION_ALLOWED, compression);
        if let Some((name, _)) = compression {
            reader.show_given("upload_compression", name.to_owned());
        }
        let max_in_flight = reader.whole_number("max_in_flight", "uploads", 1..=64);
        let max_retries = reader.whole_number("max_retries", "", 0..=20);
        let auto = reader.boolean("enable_auto_sync");
        let keep_synchronized = reader.boolean("keep_synchronized");
        let synchronized_days =
            reader.whole_number("synchronized_retention_days", "days", 1..=3_650);
        let log_days = reader.whole_number("sync_log_retention_days", "days", 1..=3_650);
        Some(Self {
            interval: interval?,
            batch_size: usize::try_from(batch_size?).ok()?,
            batch_size_max: batch_size_max?.and_then(|most| usize::try_from(most).ok()),
            max_bytes_per_second: max_bytes?.map(u64::from),
            upload_compression: compression?.1,
            max_in_flight: usize::try_from(max_in_flight?).ok()?,
            max_retries: max_retries?,
            auto: auto?,
            pinned_interval: reader.is_set_by_operator("sync_interval_minutes"),
            pinned_batch_size: reader.is_set_by_operator("batch_size"),
            keep_synchronized: keep_synchronized?,
            synchronized_retention_days: synchronized_days?,
            sync_log_retention_days: log_days?,
        })
    }
}

fn compression(text: &str) -> Result<(&'static str, UploadCompression), String> {
    UploadCompression::NAMES
        .into_iter()
        .find(|(name, _)| *name == text)
        .ok_or_else(String::new)
}

/// A number that need not be set. The outer option is none where it is wrong.
fn optional(
    reader: &mut Reader,
    name: &'static str,
    unit: &'static str,
    range: RangeInclusive<u32>,
) -> Option<Option<u32>> {
    if reader.given(name).is_none() {
        return Some(None);
    }
    reader.whole_number(name, unit, range).map(Some)
}
