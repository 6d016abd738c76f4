//! How often the Client System hears that this site is alive.

use std::time::Duration;

use super::reader::Reader;

/// How often the Client System hears that this site is alive.
#[derive(Clone, Debug)]
pub struct HeartbeatSettings {
    /// The time between heartbeats, at least one second.
    pub interval: Duration,
}

impl HeartbeatSettings {
    pub(super) fn read(reader: &mut Reader) -> Option<Self> {
        let interval = reader.milliseconds("heartbeat_interval_ms", 1_000..=86_400_000)?;
        Some(Self { interval })
    }
}
