//! A reading as the Client System receives it, and the strict validation of a batch of them. Fields are
//! checked one by one on the raw JSON, so that a value keeps every digit that was sent.

use std::{
    borrow::Cow,
    fmt,
    hash::{DefaultHasher, Hash, Hasher},
};

use chrono::{DateTime, Utc};
use serde::{
    Deserialize, Serialize,
    de::{MapAccess, Visitor},
};
use serde_json::{Value, json, value::RawValue};

/// One reading as it was received.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reading {
    /// The meter's external id.
    pub meter: String,
    /// The instant, however its text was written.
    pub timestamp: DateTime<Utc>,
    /// The data point.
    pub data_point: String,
    /// The decimal digits exactly as they were sent.
    pub value: String,
    /// The unit, when there was one.
    pub unit: Option<String>,
}

impl Reading {
    /// What makes two readings the same: meter, instant, data point and the text of the value.
    pub(super) fn identity(&self) -> Identity {
        identity(&self.meter, self.timestamp, &self.data_point, &self.value)
    }
}

/// 128 bits that stand for a reading; small enough to keep a million of them.
pub(super) type Identity = u128;

/// The identity of the reading with these fields.
pub(super) fn identity(
    meter: &str,
    timestamp: DateTime<Utc>,
    data_point: &str,
    value: &str,
) -> Identity {
    let half = |salt: u8| {
        let mut hasher = DefaultHasher::new();
        (salt, meter, timestamp, data_point, value).hash(&mut hasher);
        u128::from(hasher.finish())
    };
    half(0) << 64 | half(1)
}

/// Why a batch was refused before any row reached the database.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The body is no JSON; the parser's words.
    Syntax(String),
    /// Fields break their rules.
    Fields(Vec<FieldError>),
}

/// One entry of a validation error.
#[derive(Debug)]
pub(super) struct FieldError {
    value: Option<Value>,
    message: &'static str,
    path: String,
}

impl FieldError {
    /// An error on the whole reading with this index, as the server names it.
    pub fn on_reading(row: usize) -> Self {
        Self {
            value: None,
            message: "Invalid reading",
            path: format!("readings[{row}].value"),
        }
    }

    /// The entry as it stands in `errors`; an absent field has no `value` there.
    pub fn to_json(&self) -> Value {
        let mut entry =
            json!({"type": "field", "msg": self.message, "path": self.path, "location": "body"});
        if let Some(value) = &self.value {
            entry["value"] = value.clone();
        }
        entry
    }
}

/// Reads `{"readings":[…]}`.
///
/// # Errors
/// The body is no JSON, or any field of any reading breaks its rule; then all such fields are named.
pub(super) fn parse_batch(body: &str) -> Result<Vec<Reading>, Refusal> {
    let top: &RawValue =
        serde_json::from_str(body).map_err(|error| Refusal::Syntax(error.to_string()))?;
    let Some(rows) = Fields::of(top).and_then(|fields| fields.rows()) else {
        let error = FieldError {
            value: None,
            message: "Readings must be a non-empty array",
            path: "readings".to_owned(),
        };
        return Err(Refusal::Fields(vec![error]));
    };
    let mut checker = Checker::default();
    let readings: Vec<Reading> = rows
        .iter()
        .enumerate()
        .filter_map(|(row, raw)| checker.reading(row, raw))
        .collect();
    if checker.errors.is_empty() {
        Ok(readings)
    } else {
        Err(Refusal::Fields(checker.into_errors()))
    }
}

#[derive(Default)]
struct Checker {
    /// Each with the number of its rule: the server reports rule by rule, not reading by reading.
    errors: Vec<(u8, FieldError)>,
}

impl Checker {
    fn reading(&mut self, row: usize, raw: &RawValue) -> Option<Reading> {
        let fields = Fields::of(raw).unwrap_or_default();
        let mut check = |rule, name, message, parsed: Option<String>| {
            if parsed.is_none() {
                let value = fields
                    .get(name)
                    .and_then(|raw| serde_json::from_str(raw.get()).ok());
                self.errors.push((
                    rule,
                    FieldError {
                        value,
                        message,
                        path: format!("readings[{row}].{name}"),
                    },
                ));
            }
            parsed
        };
        let meter = check(
            0,
            "meter_external_id",
            "Meter external ID is required",
            fields.non_empty_text("meter_external_id"),
        );
        let instant = fields
            .text("timestamp")
            .as_deref()
            .and_then(parse_timestamp);
        let timestamp = check(
            1,
            "timestamp",
            "Valid timestamp is required",
            instant.map(|_| String::new()),
        )
        .and(instant);
        let data_point = check(
            2,
            "data_point",
            "Data point is required",
            fields.non_empty_text("data_point"),
        );
        let value = check(3, "value", "Value must be a number", fields.number("value"));
        let unit = match fields.get("unit") {
            None => Some(None),
            Some(_) => check(4, "unit", "Unit must be a string", fields.text("unit")).map(Some),
        };
        Some(Reading {
            meter: meter?,
            timestamp: timestamp?,
            data_point: data_point?,
            value: value?,
            unit: unit?,
        })
    }

    fn into_errors(mut self) -> Vec<FieldError> {
        self.errors.sort_by_key(|(rule, _)| *rule);
        self.errors.into_iter().map(|(_, error)| error).collect()
    }
}

/// The instant of an ISO 8601 date and time with a zone; `None` for anything looser.
fn parse_timestamp(text: &str) -> Option<DateTime<Utc>> {
    let strict = text.as_bytes().get(10) == Some(&b'T') && !text.ends_with('z');
    strict
        .then(|| DateTime::parse_from_rfc3339(text).ok())
        .flatten()
        .map(|instant| instant.to_utc())
}

/// The members of a JSON object, unparsed.
#[derive(Default)]
struct Fields<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Fields<'a> {
    fn of(raw: &'a RawValue) -> Option<Self> {
        serde_json::from_str(raw.get()).ok()
    }

    /// The last member of this name, as JavaScript would see it.
    fn get(&self, name: &str) -> Option<&'a RawValue> {
        self.0
            .iter()
            .rev()
            .find(|(key, _)| key == name)
            .map(|(_, value)| *value)
    }

    fn rows(&self) -> Option<Vec<&'a RawValue>> {
        let rows: Vec<&RawValue> = serde_json::from_str(self.get("readings")?.get()).ok()?;
        (!rows.is_empty()).then_some(rows)
    }

    fn text(&self, name: &str) -> Option<String> {
        serde_json::from_str(self.get(name)?.get()).ok()
    }

    fn non_empty_text(&self, name: &str) -> Option<String> {
        self.text(name).filter(|text| !text.is_empty())
    }

    fn number(&self, name: &str) -> Option<String> {
        let text = self.get(name)?.get();
        text.starts_with(|first: char| first == '-' || first.is_ascii_digit())
            .then(|| text.to_owned())
    }
}

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Fields<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::with_capacity(5);
                while let Some((BorrowedKey(name), value)) = map.next_entry()? {
                    members.push((name, value));
                }
                Ok(Fields(members))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

#[derive(Deserialize)]
struct BorrowedKey<'a>(#[serde(borrow)] Cow<'a, str>);

#[cfg(test)]
mod tests {
    use super::*;

    fn batch_of(reading: &str) -> String {
        format!(r#"{{"readings":[{reading}]}}"#)
    }

    fn paths(body: &str) -> Vec<String> {
        match parse_batch(body) {
            Err(Refusal::Fields(errors)) => errors.into_iter().map(|error| error.path).collect(),
            other => panic!("expected field errors, got {other:?}"),
        }
    }

    const GOOD: &str = r#"{"meter_external_id":"M1","timestamp":"2026-01-01T00:00:00.000Z","data_point":"energy","value":1.5}"#;

    #[test]
    fn a_value_keeps_every_digit() {
        let body = batch_of(&GOOD.replace("1.5", "123456789012.10000000000000000001"));
        let readings = parse_batch(&body).expect("the batch is valid");
        assert_eq!(readings[0].value, "123456789012.10000000000000000001");
    }

    #[test]
    fn the_same_instant_in_another_zone_is_the_same_reading() {
        let identity_of = |text: &str| {
            let readings =
                parse_batch(&batch_of(&GOOD.replace("00:00:00.000Z", text))).expect("valid");
            readings[0].identity()
        };
        assert_eq!(identity_of("00:00:00.000Z"), identity_of("01:00:00+01:00"));
        assert_ne!(identity_of("00:00:00.000Z"), identity_of("00:00:00.001Z"));
    }

    #[test]
    fn each_broken_field_is_named() {
        for (field, good, bad) in [
            ("meter_external_id", r#""M1""#, r#""""#),
            ("meter_external_id", r#""M1""#, "1"),
            ("timestamp", "00.000Z", "00.000"),
            ("timestamp", "2026-01-01T00", "2026-01-01 00"),
            ("timestamp", "2026-01-01T00", "2026-13-01T00"),
            ("data_point", r#""energy""#, "null"),
            ("value", "1.5", r#""1.5""#),
            ("value", "1.5", "null"),
            ("value", "1.5", r#"1.5,"unit":null"#),
        ] {
            let field = if bad.ends_with(r#""unit":null"#) {
                "unit"
            } else {
                field
            };
            assert_eq!(
                paths(&batch_of(&GOOD.replace(good, bad))),
                [format!("readings[0].{field}")],
                "{bad}"
            );
        }
    }

    #[test]
    fn errors_come_rule_by_rule() {
        let body = batch_of(&format!("{{}},{GOOD},3"));
        let named = paths(&body);
        assert_eq!(
            named[..2],
            [
                "readings[0].meter_external_id",
                "readings[2].meter_external_id"
            ]
        );
        assert_eq!(named.len(), 8);
    }

    #[test]
    fn what_is_no_batch_is_refused_as_a_whole() {
        for body in ["[]", "{}", r#"{"readings":[]}"#, r#"{"readings":{}}"#] {
            assert_eq!(paths(body), ["readings"], "{body}");
        }
        assert!(matches!(
            parse_batch("{\"readings\":["),
            Err(Refusal::Syntax(_))
        ));
    }
}
