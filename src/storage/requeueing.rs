//! Which quarantined readings may return to the queue, whatever engine holds them.

use super::QuarantineActionResult;
use crate::domain::{
    quarantine::QuarantineReason,
    reading::{RawCell, RawReading, Reading},
};

/// Entries that are looked at in one go.
pub(super) const CHUNK: i64 = 1000;

/// A quarantined reading that is asked to return.
pub(super) struct Candidate {
    /// The entry's contents, under the entry's id.
    pub(super) contents: RawReading,
    pub(super) reason: QuarantineReason,
    pub(super) retry_count: i64,
    /// When the reading came in, as it lies there.
    pub(super) arrived: Option<String>,
}

/// A quarantined reading that returns.
pub(super) struct Returning {
    pub(super) quarantine_id: i64,
    reading: Reading,
    retry_count: i64,
    arrived: Option<String>,
}

impl Returning {
    /// What the new row is made of, the entry's id first.
    pub(super) fn values(&self) -> serde_json::Value {
        serde_json::json!([
            self.quarantine_id,
            self.reading.meter_external_id,
            self.reading.timestamp.to_stored(),
            self.reading.data_point,
            self.reading.value.as_str(),
            self.reading.unit,
            self.retry_count,
            self.arrived,
        ])
    }
}

/// Those that return; what becomes of the others goes into `result`, as do the numbers. `check` says why the queue
/// cannot hold a reading.
pub(super) fn choose(
    candidates: Vec<Candidate>,
    accept_double: bool,
    check: impl Fn(&Reading) -> Result<(), String>,
    result: &mut QuarantineActionResult,
) -> Vec<Returning> {
    let mut returning = Vec::with_capacity(candidates.len());
    for candidate in candidates {
        if candidate.reason == QuarantineReason::PossiblyStored && !accept_double {
            result.possibly_stored += 1;
            continue;
        }
        let quarantine_id = candidate.contents.id;
        let readable = binary_cells_as_such(candidate.contents)
            .parse()
            .map_err(|problem| problem.to_string());
        match readable.and_then(|reading| check(&reading).map(|()| reading)) {
            Ok(reading) => returning.push(Returning {
                quarantine_id,
                reading,
                retry_count: candidate.retry_count,
                arrived: candidate.arrived,
            }),
            Err(problem) => {
                result.unreadable += 1;
                result
                    .first_problem
                    .get_or_insert(format!("entry {quarantine_id}: {problem}"));
            }
        }
    }
    result.affected += returning.len() as u64;
    returning
}

/// Binary data is kept as words about it, which must not pass for a name.
fn binary_cells_as_such(mut reading: RawReading) -> RawReading {
    let words = RawCell::Blob.to_text();
    for cell in [
        &mut reading.meter_external_id,
        &mut reading.data_point,
        &mut reading.unit,
    ] {
        if cell.to_text() == words {
            *cell = RawCell::Blob;
        }
    }
    reading
}
