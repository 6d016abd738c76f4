//! Meter readings: as another program left them in the Sync Database, as new ones come in, as they are sent.

use std::collections::BTreeMap;

use compact_str::{CompactString, ToCompactString};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{timestamp::Timestamp, value::ReadingValue};

/// The most characters that the Client System keeps of a meter's external id.
pub const METER_EXTERNAL_ID_MAX: usize = 255;
/// The most characters that the Client System keeps of a data point's name.
pub const DATA_POINT_MAX: usize = 100;
/// The most characters that the Sync Database keeps of a unit.
pub const UNIT_MAX: usize = 50;

/// Primary key of a row in `meter_readings`; not used again for another reading, unless somebody sees to it.
pub type ReadingId = i64;

/// A reading that is ready to be stored or sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Reading {
    /// Which meter, in the Client System's own naming; not empty, without control characters and others that nobody sees. Of
    /// these, joiners between letters and what chooses a shape (variation selectors) are taken where a script or an emoji
    /// needs them.
    #[schema(
        value_type = String,
        min_length = 1,
        max_length = 255,
        pattern = "^[^\\x00-\\x1f\\x7f-\\x9f\\u00ad\\u034f\\u061c\\u115f\\u1160\\u17b4\\u17b5\\u180b-\\u180f\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u206f\\u2800\\u3164\\ufe00-\\ufe0f\\ufeff\\uffa0\\ufff0-\\ufffb\u{1bca0}-\u{1bca3}\u{1d173}-\u{1d17a}\u{e0000}-\u{e0fff}]*[^\\s\\x00-\\x1f\\x7f-\\x9f\\u00ad\\u034f\\u061c\\u115f\\u1160\\u17b4\\u17b5\\u180b-\\u180f\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u206f\\u2800\\u3164\\ufe00-\\ufe0f\\ufeff\\uffa0\\ufff0-\\ufffb\u{1bca0}-\u{1bca3}\u{1d173}-\u{1d17a}\u{e0000}-\u{e0fff}][^\\x00-\\x1f\\x7f-\\x9f\\u00ad\\u034f\\u061c\\u115f\\u1160\\u17b4\\u17b5\\u180b-\\u180f\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u206f\\u2800\\u3164\\ufe00-\\ufe0f\\ufeff\\uffa0\\ufff0-\\ufffb\u{1bca0}-\u{1bca3}\u{1d173}-\u{1d17a}\u{e0000}-\u{e0fff}]*$"
    )]
    pub meter_external_id: CompactString,
    /// When it was measured, with a zone; in the years 1970 to 2100, without leap seconds.
    #[schema(value_type = String, format = DateTime, pattern = r"^(19[7-9]\d|20\d\d|2100)-")]
    pub timestamp: Timestamp,
    /// What was measured; named as the meter is.
    #[schema(
        value_type = String,
        min_length = 1,
        max_length = 100,
        pattern = "^[^\\x00-\\x1f\\x7f-\\x9f\\u00ad\\u034f\\u061c\\u115f\\u1160\\u17b4\\u17b5\\u180b-\\u180f\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u206f\\u2800\\u3164\\ufe00-\\ufe0f\\ufeff\\uffa0\\ufff0-\\ufffb\u{1bca0}-\u{1bca3}\u{1d173}-\u{1d17a}\u{e0000}-\u{e0fff}]*[^\\s\\x00-\\x1f\\x7f-\\x9f\\u00ad\\u034f\\u061c\\u115f\\u1160\\u17b4\\u17b5\\u180b-\\u180f\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u206f\\u2800\\u3164\\ufe00-\\ufe0f\\ufeff\\uffa0\\ufff0-\\ufffb\u{1bca0}-\u{1bca3}\u{1d173}-\u{1d17a}\u{e0000}-\u{e0fff}][^\\x00-\\x1f\\x7f-\\x9f\\u00ad\\u034f\\u061c\\u115f\\u1160\\u17b4\\u17b5\\u180b-\\u180f\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u206f\\u2800\\u3164\\ufe00-\\ufe0f\\ufeff\\uffa0\\ufff0-\\ufffb\u{1bca0}-\u{1bca3}\u{1d173}-\u{1d17a}\u{e0000}-\u{e0fff}]*$"
    )]
    pub data_point: CompactString,
    /// The measured value: at most 12 digits before and 3 after the decimal point.
    #[schema(value_type = f64, minimum = -999_999_999_999.999, maximum = 999_999_999_999.999, multiple_of = 0.001)]
    pub value: ReadingValue,
    /// The unit of `value`; left out where there is none, since the Client System refuses `null`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(
        value_type = Option<String>,
        max_length = 50,
        pattern = "^[^\\x00-\\x1f\\x7f-\\x9f\\u00ad\\u034f\\u061c\\u115f\\u1160\\u17b4\\u17b5\\u180b-\\u180f\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u206f\\u2800\\u3164\\ufe00-\\ufe0f\\ufeff\\uffa0\\ufff0-\\ufffb\u{1bca0}-\u{1bca3}\u{1d173}-\u{1d17a}\u{e0000}-\u{e0fff}]*$"
    )]
    pub unit: Option<CompactString>,
}

/// A cell of the Sync Database, before anyone has judged whether it makes sense.
#[derive(Clone, Debug, PartialEq)]
pub enum RawCell {
    /// SQL NULL.
    Null,
    /// A whole number.
    Integer(i64),
    /// A binary floating point number, possibly infinite.
    Real(f64),
    /// Text, or a decimal in its text form.
    Text(CompactString),
    /// A point in time, where the engine has a type for it.
    Time(Timestamp),
    /// Bytes that are no text.
    Blob,
}

impl RawCell {
    /// What a person would write for this cell; none for NULL.
    pub fn to_text(&self) -> Option<String> {
        match self {
            Self::Null => None,
            Self::Integer(number) => Some(number.to_string()),
            Self::Real(number) => Some(number.to_string()),
            Self::Text(text) => Some(text.to_string()),
            Self::Time(time) => Some(time.to_stored()),
            Self::Blob => Some("(binary data)".to_owned()),
        }
    }

    fn into_text(self, column: &'static str) -> Result<CompactString, Unreadable> {
        match self {
            Self::Text(text) => Ok(text),
            Self::Integer(number) => Ok(number.to_compact_string()),
            other => Err(Unreadable {
                column,
                found: other.to_text(),
            }),
        }
    }
}

/// A row of `meter_readings` exactly as it lies there: other programs write this table.
#[derive(Clone, Debug, PartialEq)]
pub struct RawReading {
    /// The row's key.
    pub id: ReadingId,
    /// Column `meter_external_id`.
    pub meter_external_id: RawCell,
    /// Column `timestamp`.
    pub timestamp: RawCell,
    /// Column `data_point`.
    pub data_point: RawCell,
    /// Column `value`.
    pub value: RawCell,
    /// Column `unit`.
    pub unit: RawCell,
    /// Which transaction wrote the row as it is, where the engine tells and the row was read to be claimed.
    pub writer: Option<u32>,
}

/// Why a row cannot be put into a batch: one column that no serialisation exists for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("column {column} holds {}, which cannot be sent", found.as_deref().map_or("nothing".to_owned(), |text| format!("{text:?}")))]
pub struct Unreadable {
    /// The column at fault.
    pub column: &'static str,
    /// What it holds; none for NULL.
    pub found: Option<String>,
}

/// By what a reading is the same whatever is corrected in it: what was measured where and when.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ReadingIdentity {
    /// Which meter.
    pub meter_external_id: CompactString,
    /// When it was measured.
    pub timestamp: Timestamp,
    /// What was measured.
    pub data_point: CompactString,
}

impl ReadingIdentity {
    /// Whether both mean the same reading. Engines keep times to the microsecond at least.
    pub fn is(&self, other: &Self) -> bool {
        let apart = (self.timestamp.0 - other.timestamp.0).abs();
        apart < chrono::TimeDelta::microseconds(1)
            && self.meter_external_id == other.meter_external_id
            && self.data_point == other.data_point
    }
}

impl RawReading {
    /// Which reading it is, though its value may make no sense; none where that cannot be read.
    pub fn identity(&self) -> Option<ReadingIdentity> {
        Some(ReadingIdentity {
            meter_external_id: self.meter_external_id.clone().into_text("").ok()?,
            timestamp: self.point_in_time()?,
            data_point: self.data_point.clone().into_text("").ok()?,
        })
    }

    fn point_in_time(&self) -> Option<Timestamp> {
        match &self.timestamp {
            RawCell::Time(time) => Some(*time),
            RawCell::Text(text) => Timestamp::parse_stored(text),
            _ => None,
        }
    }

    /// Judges the row. Only what cannot be serialised is refused; the Client System judges the rest.
    ///
    /// # Errors
    /// Names the first column that has no serialisation: NULL, a time that is none, a value that is no number.
    pub fn parse(self) -> Result<Reading, Unreadable> {
        let timestamp = self.point_in_time();
        let value = match &self.value {
            RawCell::Integer(number) => Some(ReadingValue::from(*number)),
            RawCell::Real(number) => ReadingValue::from_f64(*number),
            RawCell::Text(text) => ReadingValue::parse(text),
            RawCell::Null | RawCell::Blob | RawCell::Time(_) => None,
        };
        let unreadable = |column, cell: &RawCell| Unreadable {
            column,
            found: cell.to_text(),
        };
        Ok(Reading {
            timestamp: timestamp.ok_or_else(|| unreadable("timestamp", &self.timestamp))?,
            value: value.ok_or_else(|| unreadable("value", &self.value))?,
            meter_external_id: self.meter_external_id.into_text("meter_external_id")?,
            data_point: self.data_point.into_text("data_point")?,
            unit: match self.unit {
                RawCell::Null => None,
                cell => Some(cell.into_text("unit")?),
            },
        })
    }
}

/// When each meter was last measured, as far as these readings know.
pub fn newest_by_meter(readings: &[Reading]) -> BTreeMap<&str, Timestamp> {
    let mut newest: BTreeMap<&str, Timestamp> = BTreeMap::new();
    // Readings of one meter mostly come together.
    for run in readings.chunk_by(|one, next| one.meter_external_id == next.meter_external_id) {
        let first = &run[0];
        let known = newest
            .entry(&first.meter_external_id)
            .or_insert(first.timestamp);
        for reading in run {
            *known = reading.timestamp.max(*known);
        }
    }
    newest
}

/// A row of `meter_readings` as shown to people: texts as they lie in the table.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ReadingRow {
    /// The row's key.
    #[schema(value_type = i64)]
    pub id: ReadingId,
    /// Which meter.
    pub meter_external_id: Option<String>,
    /// When it was measured: RFC 3339 where the stored text is a time, else that text.
    pub timestamp: Option<String>,
    /// What was measured.
    pub data_point: Option<String>,
    /// The value where it is a number.
    pub value: Option<ReadingValue>,
    /// The unit.
    pub unit: Option<String>,
    /// Whether the Client System has it.
    pub is_synchronized: bool,
    /// For how many passes its batch was given up.
    pub retry_count: i64,
    /// When it came into the database.
    pub created_at: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> RawReading {
        RawReading {
            id: 1,
            meter_external_id: RawCell::Text("M-1".into()),
            timestamp: RawCell::Text("2026-01-01 00:00:00".into()),
            data_point: RawCell::Text("energy_total".into()),
            value: RawCell::Real(1.5),
            unit: RawCell::Null,
            writer: None,
        }
    }

    #[test]
    fn a_sound_row_becomes_a_reading_without_a_null_unit() {
        let reading = row().parse().expect("readable");
        assert_eq!(
            serde_json::to_string(&reading).expect("json"),
            r#"{"meter_external_id":"M-1","timestamp":"2026-01-01T00:00:00.000Z","data_point":"energy_total","value":1.5}"#
        );
    }

    #[test]
    fn each_unreadable_column_is_named() {
        let cases = [
            (
                RawReading {
                    timestamp: RawCell::Text("soon".into()),
                    ..row()
                },
                "timestamp",
            ),
            (
                RawReading {
                    timestamp: RawCell::Integer(1_767_225_600),
                    ..row()
                },
                "timestamp",
            ),
            (
                RawReading {
                    value: RawCell::Null,
                    ..row()
                },
                "value",
            ),
            (
                RawReading {
                    value: RawCell::Text("n/a".into()),
                    ..row()
                },
                "value",
            ),
            (
                RawReading {
                    value: RawCell::Real(f64::INFINITY),
                    ..row()
                },
                "value",
            ),
            (
                RawReading {
                    meter_external_id: RawCell::Null,
                    ..row()
                },
                "meter_external_id",
            ),
            (
                RawReading {
                    data_point: RawCell::Blob,
                    ..row()
                },
                "data_point",
            ),
        ];
        for (raw, column) in cases {
            assert_eq!(raw.parse().expect_err(column).column, column);
        }
    }
}
