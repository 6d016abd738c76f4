//! How often the site's configuration is fetched.

use std::time::Duration;

use super::reader::Reader;

/// How often the site's configuration is fetched.
#[derive(Clone, Debug)]
pub struct ConfigDownloadSettings {
    /// The time between downloads, in whole minutes.
    pub interval: Duration,
}

impl ConfigDownloadSettings {
    pub(super) fn read(reader: &mut Reader) -> Option<Self> {
        let interval = reader.minutes("config_download_interval_minutes", 1..=10_080)?;
        Some(Self { interval })
    }
}
