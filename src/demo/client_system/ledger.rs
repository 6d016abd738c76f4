//! The oracle: what reached the server, what was stored, under which keys and how often. It costs about
//! 50 bytes a reading, so that a million of them can be judged.

use std::{
    collections::{BTreeMap, HashMap},
    hash::{DefaultHasher, Hasher},
};

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::reading::{Identity, Reading};

/// The counts that a test or a person asks for first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LedgerSummary {
    /// Requests by path, refused ones included.
    pub requests: BTreeMap<String, u64>,
    /// Requests to the batch call whose body arrived whole, whatever became of them.
    pub batches_received: u64,
    /// Batches of which at least one reading was stored.
    pub batches_stored: u64,
    /// Stored readings, with every repetition.
    pub readings_stored: u64,
    /// Different readings (meter, timestamp, data point, value) among them.
    pub distinct_readings: u64,
    /// Stored readings that were stored before.
    pub raw_duplicates: u64,
    /// The same, when repetitions of a batch under its own key are left out: what a server that
    /// de-duplicates by key would still store twice.
    pub duplicates_after_key: u64,
    /// Different keys seen.
    pub keys: u64,
    /// Batches that came without a key.
    pub batches_without_key: u64,
    /// Keys that were sent with different bodies (after decompression); must stay 0.
    pub keys_with_differing_bodies: u64,
    /// The largest number of requests with one key that were open at the same time; must not exceed 1.
    pub most_open_per_key: usize,
    /// Heartbeats received.
    pub heartbeats: u64,
}

/// One request to the batch call.
#[derive(Clone, Debug, Serialize)]
pub struct ReceivedBatch {
    /// Counts from 0 over the simulator's life.
    pub sequence: u64,
    /// When its body had arrived.
    pub at: DateTime<Utc>,
    /// Its `Idempotency-Key`.
    pub key: Option<String>,
    /// A hash of the body after decompression; comparable within one process.
    pub body_hash: u64,
    /// Length of the body after decompression.
    pub body_bytes: usize,
    /// The `Content-Encoding` that it came with.
    pub encoding: Option<String>,
    /// Valid readings in it; 0 when it failed validation.
    pub readings: usize,
    /// How many of them this request stored.
    pub stored: usize,
    /// Status of the answer that the client was sent; absent while it waits, and when it got none.
    pub status: Option<u16>,
    /// The answer's body, shortened.
    pub answer: Option<String>,
    /// The scripted fault that acted on it.
    pub fault: Option<&'static str>,
    /// The stored readings, if the simulator keeps them.
    #[serde(skip)]
    pub stored_readings: Vec<Reading>,
}

/// One idempotency key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KeyRecord {
    /// Requests that carried it.
    pub sendings: u64,
    /// Requests that stored readings under it.
    pub times_stored: u64,
    /// Hash of the body that came first.
    pub body_hash: u64,
    /// Whether every sending had the same bytes (after decompression).
    pub identical: bool,
    /// The largest number of requests with this key that were open at the same time.
    pub most_open: usize,
}

#[derive(Clone, Copy, Debug, Default)]
struct TimesStored {
    raw: u32,
    after_key: u32,
}

/// What the ledger is told when a batch arrives.
pub(super) struct Arrival<'a> {
    pub at: DateTime<Utc>,
    pub key: Option<&'a str>,
    pub body: &'a [u8],
    pub encoding: Option<&'a str>,
    pub readings: usize,
    pub open_with_key: usize,
}

#[derive(Debug, Default)]
pub(super) struct Ledger {
    requests: BTreeMap<String, u64>,
    heartbeats: Vec<Heartbeat>,
    batches: Vec<ReceivedBatch>,
    first_sequence: u64,
    keys: HashMap<String, KeyRecord>,
    readings: HashMap<Identity, TimesStored>,
    stored: u64,
    stored_after_key: u64,
}

/// One heartbeat as it came.
#[derive(Clone, Debug, Serialize)]
pub struct Heartbeat {
    /// When it came.
    pub at: DateTime<Utc>,
    /// Its body.
    pub body: serde_json::Value,
}

impl Ledger {
    /// Forgets everything but the numbering of batches.
    pub fn reset(&mut self) {
        let first_sequence = self.first_sequence + self.batches.len() as u64;
        *self = Self {
            first_sequence,
            ..Self::default()
        };
    }

    pub fn count_request(&mut self, path: &str) {
        *self.requests.entry(path.to_owned()).or_default() += 1;
    }

    pub fn heartbeat(&mut self, heartbeat: Heartbeat) {
        self.heartbeats.push(heartbeat);
    }

    /// Enters a batch whose body has arrived; the number names it from then on.
    pub fn batch_arrived(&mut self, arrival: &Arrival<'_>) -> u64 {
        let body_hash = hash_of(arrival.body);
        if let Some(key) = arrival.key {
            let record = self.keys.entry(key.to_owned()).or_insert(KeyRecord {
                sendings: 0,
                times_stored: 0,
                body_hash,
                identical: true,
                most_open: 0,
            });
            record.sendings += 1;
            record.identical &= record.body_hash == body_hash;
            record.most_open = record.most_open.max(arrival.open_with_key);
        }
        let sequence = self.first_sequence + self.batches.len() as u64;
        self.batches.push(ReceivedBatch {
            sequence,
            at: arrival.at,
            key: arrival.key.map(str::to_owned),
            body_hash,
            body_bytes: arrival.body.len(),
            encoding: arrival.encoding.map(str::to_owned),
            readings: arrival.readings,
            stored: 0,
            status: None,
            answer: None,
            fault: None,
            stored_readings: Vec::new(),
        });
        sequence
    }

    /// The entry of a batch, unless the ledger was reset since.
    pub fn batch(&mut self, sequence: u64) -> Option<&mut ReceivedBatch> {
        let index = usize::try_from(sequence.checked_sub(self.first_sequence)?).ok()?;
        self.batches.get_mut(index)
    }

    /// Enters the committed rows of a batch.
    pub fn stored(&mut self, sequence: u64, readings: &[Reading], rows: &[usize], keep: bool) {
        let Some(batch) = self.batch(sequence) else {
            return;
        };
        batch.stored = rows.len();
        if keep {
            batch.stored_readings = rows.iter().map(|row| readings[*row].clone()).collect();
        }
        let key = batch.key.clone();
        let first_under_key = self.count_stored_under(key.as_deref(), !rows.is_empty());
        for row in rows {
            let times = self.readings.entry(readings[*row].identity()).or_default();
            times.raw += 1;
            times.after_key += u32::from(first_under_key);
        }
        self.stored += rows.len() as u64;
        self.stored_after_key += if first_under_key {
            rows.len() as u64
        } else {
            0
        };
    }

    fn count_stored_under(&mut self, key: Option<&str>, any: bool) -> bool {
        let Some(record) = key.and_then(|key| self.keys.get_mut(key)) else {
            return true;
        };
        record.times_stored += u64::from(any);
        record.times_stored <= 1
    }

    pub fn summary(&self) -> LedgerSummary {
        // A reading may be stored only by a repetition, when the first sending stored another part.
        let distinct_after_key = self
            .readings
            .values()
            .filter(|times| times.after_key > 0)
            .count() as u64;
        let distinct = self.readings.len() as u64;
        LedgerSummary {
            requests: self.requests.clone(),
            batches_received: self.batches.len() as u64,
            batches_stored: self.batches.iter().filter(|batch| batch.stored > 0).count() as u64,
            readings_stored: self.stored,
            distinct_readings: distinct,
            raw_duplicates: self.stored - distinct,
            duplicates_after_key: self.stored_after_key - distinct_after_key,
            keys: self.keys.len() as u64,
            batches_without_key: self
                .batches
                .iter()
                .filter(|batch| batch.key.is_none())
                .count() as u64,
            keys_with_differing_bodies: self.keys.values().filter(|key| !key.identical).count()
                as u64,
            most_open_per_key: self
                .keys
                .values()
                .map(|key| key.most_open)
                .max()
                .unwrap_or(0),
            heartbeats: self.heartbeats.len() as u64,
        }
    }

    /// Stored and distinct readings: the two counts that a display asks for several times a second.
    pub fn delivered(&self) -> (u64, u64) {
        (self.stored, self.readings.len() as u64)
    }

    pub fn batches(&self) -> &[ReceivedBatch] {
        &self.batches
    }

    pub fn heartbeats(&self) -> &[Heartbeat] {
        &self.heartbeats
    }

    pub fn key(&self, key: &str) -> Option<&KeyRecord> {
        self.keys.get(key)
    }

    pub fn keys(&self) -> &HashMap<String, KeyRecord> {
        &self.keys
    }

    /// How often this reading was stored, with every repetition.
    pub fn times_stored(&self, identity: Identity) -> u32 {
        self.readings.get(&identity).map_or(0, |times| times.raw)
    }
}

/// The hash under which a body is compared.
pub(super) fn hash_of(body: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(body);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(value: &str) -> Reading {
        Reading {
            meter: "M1".to_owned(),
            timestamp: DateTime::UNIX_EPOCH,
            data_point: "energy".to_owned(),
            value: value.to_owned(),
            unit: None,
        }
    }

    fn deliver(ledger: &mut Ledger, key: Option<&str>, values: &[&str]) -> u64 {
        let body = values.join(",");
        let readings: Vec<Reading> = values.iter().map(|value| reading(value)).collect();
        let sequence = ledger.batch_arrived(&Arrival {
            at: DateTime::UNIX_EPOCH,
            key,
            body: body.as_bytes(),
            encoding: None,
            readings: readings.len(),
            open_with_key: 1,
        });
        let rows: Vec<usize> = (0..readings.len()).collect();
        ledger.stored(sequence, &readings, &rows, true);
        sequence
    }

    #[test]
    fn a_repetition_under_its_key_is_a_raw_duplicate_only() {
        let mut ledger = Ledger::default();
        deliver(&mut ledger, Some("a"), &["1", "2"]);
        deliver(&mut ledger, Some("a"), &["1", "2"]);
        deliver(&mut ledger, Some("b"), &["2", "3"]);
        let summary = ledger.summary();
        assert_eq!((summary.readings_stored, summary.distinct_readings), (6, 3));
        assert_eq!(
            (summary.raw_duplicates, summary.duplicates_after_key),
            (3, 1)
        );
        assert_eq!(summary.keys_with_differing_bodies, 0);
    }

    #[test]
    fn a_key_with_another_body_is_noticed() {
        let mut ledger = Ledger::default();
        deliver(&mut ledger, Some("a"), &["1"]);
        deliver(&mut ledger, Some("a"), &["2"]);
        assert_eq!(ledger.summary().keys_with_differing_bodies, 1);
    }

    #[test]
    fn a_batch_of_before_the_reset_is_not_mistaken_for_a_later_one() {
        let mut ledger = Ledger::default();
        let old = deliver(&mut ledger, None, &["1"]);
        ledger.reset();
        let new = deliver(&mut ledger, None, &["2"]);
        assert!(ledger.batch(old).is_none());
        assert_eq!(ledger.batch(new).map(|batch| batch.stored), Some(1));
    }
}
