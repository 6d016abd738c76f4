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
    /// The Client System's answer leaves open whether it has the reading.
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

/// New contents for fields of a quarantined reading; absent fields stay as they are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct QuarantineCorrection {
    /// Which meter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub meter_external_id: Option<String>,
    /// When it was measured, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<Timestamp>,
    /// What was measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_point: Option<String>,
    /// The value, a decimal; already checked.
    #[serde(
        default,
        deserialize_with = "number_text",
        serialize_with = "number",
        skip_serializing_if = "Option::is_none"
    )]
    pub value: Option<String>,
    /// The unit; `null` removes it.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
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

fn present<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Option<String>>, D::Error> {
    Deserialize::deserialize(deserializer).map(Some)
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
