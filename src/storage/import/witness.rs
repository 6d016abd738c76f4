//! Recognises a file that was copied before it had an identity, by a reading that it shares with one that was
//! imported.

use sha2::{Digest, Sha256};

use crate::domain::reading::{RawReading, ReadingId};

/// A reading that was imported, as it lay in its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::storage) struct Witness {
    pub(in crate::storage) id: ReadingId,
    pub(in crate::storage) fingerprint: String,
}

impl Witness {
    /// Equal for equal rows under the same id.
    pub(in crate::storage) fn new(reading: &RawReading) -> Self {
        let mut digest = Sha256::new();
        for cell in [
            &reading.meter_external_id,
            &reading.timestamp,
            &reading.data_point,
            &reading.value,
            &reading.unit,
        ] {
            let text = cell.to_text();
            // The length in front of every text keeps two from passing for one.
            digest.update(
                text.as_ref()
                    .map_or(0, |text| 1 + text.len() as u64)
                    .to_be_bytes(),
            );
            digest.update(text.unwrap_or_default());
        }
        Self {
            id: reading.id,
            fingerprint: format!("{:x}", digest.finalize()),
        }
    }
}
