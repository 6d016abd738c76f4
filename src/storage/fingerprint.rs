//! Tells whether a repeated request brings the same readings.

use sha2::{Digest, Sha256};

use crate::domain::reading::Reading;

/// Equal for equal readings in equal order, over restarts and versions of this program.
pub(super) fn fingerprint(readings: &[Reading]) -> String {
    let mut digest = Sha256::new();
    // The length in front of every field keeps two fields from passing for one.
    let mut add = |field: &str| {
        digest.update((field.len() as u64).to_be_bytes());
        digest.update(field);
    };
    for reading in readings {
        add(&reading.meter_external_id);
        add(&reading.timestamp.to_stored());
        add(&reading.data_point);
        add(reading.value.as_str());
        add(if reading.unit.is_some() { "unit" } else { "" });
        add(reading.unit.as_deref().unwrap_or_default());
    }
    format!("{:x}", digest.finalize())
}
