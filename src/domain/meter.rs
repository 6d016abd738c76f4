//! Meters as the Client System configures them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::timestamp::Timestamp;

/// A meter in a downloaded configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeterConfiguration {
    /// The Client System's name for it.
    pub external_id: String,
    /// The name for people.
    pub name: String,
    /// BACnet device instance.
    pub bacnet_device_id: Option<i64>,
    /// BACnet address.
    pub bacnet_ip: Option<String>,
    /// Free-form settings of the meter, JSON text.
    pub config: Option<String>,
}

/// A meter as the Sync Database knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Meter {
    /// The row's key.
    pub id: i64,
    /// The Client System's name for it.
    pub external_id: String,
    /// The name for people.
    pub name: String,
    /// BACnet device instance.
    pub bacnet_device_id: Option<i64>,
    /// BACnet address.
    pub bacnet_ip: Option<String>,
    /// When its last reading was measured.
    pub last_reading_at: Option<Timestamp>,
    /// Whether the last configuration still names it.
    pub is_active: bool,
    /// When it was first heard of.
    pub created_at: Option<Timestamp>,
}

/// A configuration as downloaded, validated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SiteConfiguration {
    /// The site's name, where the answer holds one.
    pub site_name: Option<String>,
    /// All meters of the site.
    pub meters: Vec<MeterConfiguration>,
    /// The interval between passes that the Client System wants, in minutes.
    pub sync_interval_minutes: Option<u32>,
    /// The batch size that the Client System wants.
    pub batch_size: Option<usize>,
}

/// What a configuration changed in the Sync Database.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MeterChanges {
    /// Meters in the configuration.
    pub configured: usize,
    /// Meters that became inactive because the configuration no longer names them.
    pub deactivated: usize,
}
