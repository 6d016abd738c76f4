//! Points in time as this service writes and reads them: UTC, RFC 3339, at least milliseconds.

use std::fmt;

use chrono::{DateTime, NaiveDate, NaiveDateTime, SecondsFormat, Timelike, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::ToSchema;

/// A point in time in UTC. Shown as `2026-01-01T00:00:00.000Z`, with more digits only where it has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, ToSchema)]
#[schema(value_type = String, format = DateTime, examples("2026-01-01T00:00:00.000Z"))]
pub struct Timestamp(pub DateTime<Utc>);

impl Timestamp {
    /// Reads RFC 3339 with any offset; refuses times without a zone.
    pub fn parse_zoned(text: &str) -> Option<Self> {
        DateTime::parse_from_rfc3339(text)
            .ok()
            .map(|time| Self(time.with_timezone(&Utc)))
    }

    /// Reads what the Sync Database holds: with a zone, or without one, which there means UTC.
    pub fn parse_stored(text: &str) -> Option<Self> {
        // Nearly all of them have the plainest form, and there are millions.
        parse_plain(text.as_bytes())
            .map(|naive| Self(naive.and_utc()))
            .or_else(|| Self::parse_zoned(text))
            .or_else(|| {
                DateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f%#z")
                    .ok()
                    .map(|time| Self(time.with_timezone(&Utc)))
            })
            .or_else(|| {
                [
                    "%Y-%m-%d %H:%M:%S%.f",
                    "%Y-%m-%dT%H:%M:%S%.f",
                    "%Y-%m-%d %H:%M",
                    "%Y-%m-%dT%H:%M",
                ]
                .iter()
                .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())
                .map(|naive| Self(naive.and_utc()))
            })
    }

    /// The form in which the Sync Database holds times: `2026-01-01 00:00:00.000`, naive UTC.
    pub fn to_stored(self) -> String {
        let format = if self.0.nanosecond().is_multiple_of(1_000_000) {
            "%Y-%m-%d %H:%M:%S%.3f"
        } else {
            "%Y-%m-%d %H:%M:%S%.9f"
        };
        self.0.format(format).to_string()
    }

    /// Seconds from `earlier` to this point, never negative.
    pub fn seconds_since(self, earlier: Self) -> f64 {
        (self.0 - earlier.0)
            .to_std()
            .map_or(0.0, |duration| duration.as_secs_f64())
    }
}

/// Reads `2026-01-01 00:00:00` with up to nine decimals, or with a `T` in its middle; none for every other form.
fn parse_plain(text: &[u8]) -> Option<NaiveDateTime> {
    let (date, time) = (text.get(..10)?, text.get(11..19)?);
    let is_plain = date[4] == b'-'
        && date[7] == b'-'
        && matches!(text[10], b' ' | b'T')
        && time[2] == b':'
        && time[5] == b':';
    if !is_plain {
        return None;
    }
    let nanoseconds = match text.get(19..)? {
        [] => 0,
        [b'.', decimals @ ..] if (1..=9).contains(&decimals.len()) => {
            number(decimals)? * 10_u32.pow(9 - u32::try_from(decimals.len()).ok()?)
        }
        _ => return None,
    };
    let year = i32::try_from(number(&date[..4])?).ok()?;
    let (hour, minute, second) = (
        number(&time[..2])?,
        number(&time[3..5])?,
        number(&time[6..])?,
    );
    NaiveDate::from_ymd_opt(year, number(&date[5..7])?, number(&date[8..])?)?.and_hms_nano_opt(
        hour,
        minute,
        second,
        nanoseconds,
    )
}

/// At most nine digits, and nothing else.
fn number(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |number, digit| {
        digit
            .is_ascii_digit()
            .then(|| number * 10 + u32::from(digit - b'0'))
    })
}

impl From<DateTime<Utc>> for Timestamp {
    fn from(time: DateTime<Utc>) -> Self {
        Self(time)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanoseconds = self.0.nanosecond();
        let digits = if nanoseconds.is_multiple_of(1_000_000) {
            SecondsFormat::Millis
        } else if nanoseconds.is_multiple_of(1_000) {
            SecondsFormat::Micros
        } else {
            SecondsFormat::Nanos
        };
        formatter.write_str(&self.0.to_rfc3339_opts(digits, true))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse_zoned(&text).ok_or_else(|| {
            serde::de::Error::custom(
                "a time in RFC 3339 with a zone is expected, such as 2026-01-01T00:00:00.000Z",
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_times_without_a_zone_are_utc() {
        for text in [
            "2026-01-01 10:30:00",
            "2026-01-01T10:30:00",
            "2026-01-01 10:30:00.000",
            "2026-01-01 11:30:00+01",
            "2026-01-01T11:30:00+01:00",
            "2026-01-01 10:30",
        ] {
            assert_eq!(
                Timestamp::parse_stored(text)
                    .map(|time| time.to_string())
                    .as_deref(),
                Some("2026-01-01T10:30:00.000Z"),
                "{text}"
            );
        }
    }

    #[test]
    fn the_plain_form_is_read_as_the_general_one_is() {
        for text in [
            "2026-01-01 00:00:00",
            "2026-12-31T23:59:59.999",
            "2024-02-29 12:00:00.000000001",
            "0001-01-01 00:00:00.1",
            "9999-12-31 23:59:59.123456789",
        ] {
            let general = ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f"]
                .iter()
                .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok());
            assert_eq!(parse_plain(text.as_bytes()), general, "{text}");
            assert!(general.is_some(), "{text}");
        }
        for other in [
            "2026-02-29 00:00:00",
            "2026-01-01 24:00:00",
            "2026-01-01 00:60:00",
            "2026-01-01 00:00:61",
            "2026-01-01 00:00:00.",
            "2026-01-01 00:00:00.1234567890",
            "2026-01-01 00:00:00Z",
            "2026-01-01x00:00:00",
            "2026-01-0١ 00:00:00",
            "+026-01-01 00:00:00",
            "",
        ] {
            assert_eq!(parse_plain(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "yesterday",
            "2026-13-01 00:00:00",
            "1767225600",
            "2026-02-30T00:00:00Z",
        ] {
            assert_eq!(Timestamp::parse_stored(text), None, "{text}");
        }
        assert_eq!(Timestamp::parse_zoned("2026-01-01T10:30:00"), None);
    }

    #[test]
    fn finer_digits_are_kept() {
        let time = Timestamp::parse_stored("2026-01-01 00:00:00.123456").expect("a time");
        assert_eq!(time.to_string(), "2026-01-01T00:00:00.123456Z");
        assert_eq!(Timestamp::parse_stored(&time.to_stored()), Some(time));
    }
}
