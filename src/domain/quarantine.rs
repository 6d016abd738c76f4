//! Readings that were set aside because the Client System refuses them or because nobody can tell.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{reading::ReadingId, timestamp::Timestamp};

/// Why a reading is in quarantine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum QuarantineReason {
    /// The Client System refused it.
    Refused,
    /// The row cannot be serialised.
    Unreadable,
    /// The Client System's answer leaves open whether it has the reading, or it refused it in a batch that it may have stored
    /// before.
    PossiblyStored,
}

impl QuarantineReason {
    /// The reason's name in the database and the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Unreadable => "unreadable",
            Self::PossiblyStored => "possibly_stored",
        }
    }

    /// Reads [`QuarantineReason::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Refused, Self::Unreadable, Self::PossiblyStored]
            .into_iter()
            .find(|reason| reason.as_str() == text)
    }
}

/// A reading in quarantine, its fields as texts, for they may be what is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct QuarantinedReading {
    /// Names the entry in the API.
    pub id: i64,
    /// The id that the reading had in `meter_readings`.
    #[schema(value_type = i64)]
    pub reading_id: ReadingId,
    /// Which meter.
    pub meter_external_id: Option<String>,
    /// When it was measured.
    pub timestamp: Option<String>,
    /// What was measured.
    pub data_point: Option<String>,
    /// The value as text.
    pub value: Option<String>,
    /// The unit.
    pub unit: Option<String>,
    /// Why it is here.
    pub reason: QuarantineReason,
    /// HTTP status of the refusal, where there was one.
    pub status: Option<u16>,
    /// The server's words, or what makes the row unreadable.
    pub message: String,
    /// The key of the batch in which it was refused.
    pub idempotency_key: Option<String>,
    /// When it was set aside.
    pub quarantined_at: Timestamp,
}

/// Which entries an action means.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QuarantineFilter {
    /// Only this entry.
    pub id: Option<i64>,
    /// Only entries for this reason.
    pub reason: Option<QuarantineReason>,
    /// Only entries of this meter.
    pub meter: Option<String>,
}

/// New contents for fields of a quarantined reading, at least for one; absent fields stay as they are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(min_properties = 1)]
pub struct QuarantineCorrection {
    /// Which meter; not empty, without control characters.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(
        nullable = false,
        min_length = 1,
        max_length = 255,
        pattern = "^[^\\x00-\\x1f\\x7f-\\x9f\\u00ad\\u034f\\u061c\\u115f\\u1160\\u17b4\\u17b5\\u180b-\\u180f\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u206f\\u2800\\u3164\\ufe00-\\ufe0f\\ufeff\\uffa0\\ufff0-\\ufffb\u{1bca0}-\u{1bca3}\u{1d173}-\u{1d17a}\u{e0000}-\u{e0fff}]*[^\\s\\x00-\\x1f\\x7f-\\x9f\\u00ad\\u034f\\u061c\\u115f\\u1160\\u17b4\\u17b5\\u180b-\\u180f\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u206f\\u2800\\u3164\\ufe00-\\ufe0f\\ufeff\\uffa0\\ufff0-\\ufffb\u{1bca0}-\u{1bca3}\u{1d173}-\u{1d17a}\u{e0000}-\u{e0fff}][^\\x00-\\x1f\\x7f-\\x9f\\u00ad\\u034f\\u061c\\u115f\\u1160\\u17b4\\u17b5\\u180b-\\u180f\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u206f\\u2800\\u3164\\ufe00-\\ufe0f\\ufeff\\uffa0\\ufff0-\\ufffb\u{1bca0}-\u{1bca3}\u{1d173}-\u{1d17a}\u{e0000}-\u{e0fff}]*$"
    )]
    pub meter_external_id: Option<String>,
    /// When it was measured, with a zone; in the years 1970 to 2100, without leap seconds.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = String, required = false, format = DateTime, pattern = r"^(19[7-9]\d|20\d\d|2100)-")]
    pub timestamp: Option<Timestamp>,
    /// What was measured; named as the meter is.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(
        nullable = false,
        min_length = 1,
        max_length = 100,
        pattern = "^[^\\x00-\\x1f\\x7f-\\x9f\\u00ad\\u034f\\u061c\\u115f\\u1160\\u17b4\\u17b5\\u180b-\\u180f\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u206f\\u2800\\u3164\\ufe00-\\ufe0f\\ufeff\\uffa0\\ufff0-\\ufffb\u{1bca0}-\u{1bca3}\u{1d173}-\u{1d17a}\u{e0000}-\u{e0fff}]*[^\\s\\x00-\\x1f\\x7f-\\x9f\\u00ad\\u034f\\u061c\\u115f\\u1160\\u17b4\\u17b5\\u180b-\\u180f\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u206f\\u2800\\u3164\\ufe00-\\ufe0f\\ufeff\\uffa0\\ufff0-\\ufffb\u{1bca0}-\u{1bca3}\u{1d173}-\u{1d17a}\u{e0000}-\u{e0fff}][^\\x00-\\x1f\\x7f-\\x9f\\u00ad\\u034f\\u061c\\u115f\\u1160\\u17b4\\u17b5\\u180b-\\u180f\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u206f\\u2800\\u3164\\ufe00-\\ufe0f\\ufeff\\uffa0\\ufff0-\\ufffb\u{1bca0}-\u{1bca3}\u{1d173}-\u{1d17a}\u{e0000}-\u{e0fff}]*$"
    )]
    pub data_point: Option<String>,
    /// The value: a number with at most 12 digits before and 3 after the decimal point.
    #[serde(
        default,
        deserialize_with = "number_text",
        serialize_with = "number",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = f64, required = false, minimum = -999_999_999_999.999, maximum = 999_999_999_999.999, multiple_of = 0.001)]
    pub value: Option<String>,
    /// The unit; `null` removes it.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = Option<String>, max_length = 50, pattern = "^[^\\x00-\\x1f\\x7f-\\x9f\\u00ad\\u034f\\u061c\\u115f\\u1160\\u17b4\\u17b5\\u180b-\\u180f\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u206f\\u2800\\u3164\\ufe00-\\ufe0f\\ufeff\\uffa0\\ufff0-\\ufffb\u{1bca0}-\u{1bca3}\u{1d173}-\u{1d17a}\u{e0000}-\u{e0fff}]*$")]
    pub unit: Option<Option<String>>,
}

fn number_text<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<String>, D::Error> {
    let value = super::value::ReadingValue::deserialize(deserializer)?;
    Ok(Some(value.to_string()))
}

fn number<S: serde::Serializer>(text: &Option<String>, serializer: S) -> Result<S::Ok, S::Error> {
    text.as_deref()
        .and_then(super::value::ReadingValue::parse)
        .serialize(serializer)
}

/// Tells `null` from a field that is absent: only a unit can be removed.
fn present<'de, T: Deserialize<'de>, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_correction_is_written_as_it_is_read() {
        for text in [
            r#"{"value":12.340}"#,
            r#"{"meter_external_id":"M-1","timestamp":"2026-01-01T00:00:00.000Z","data_point":"energy","unit":null}"#,
        ] {
            let correction: QuarantineCorrection = serde_json::from_str(text).expect(text);
            assert_eq!(serde_json::to_string(&correction).expect("json"), text);
        }
    }
}
