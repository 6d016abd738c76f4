//! How often the link to the Client System is checked.

use std::time::Duration;

use super::reader::Reader;

/// How often the link to the Client System is checked.
#[derive(Clone, Debug)]
pub struct ConnectivitySettings {
    /// The time between checks while online, at least one second.
    pub check_interval: Duration,
}

impl ConnectivitySettings {
    pub(super) fn read(reader: &mut Reader) -> Option<Self> {
        let check_interval =
            reader.milliseconds("connectivity_check_interval_ms", 1_000..=3_600_000)?;
        Some(Self { check_interval })
    }
}
