//! Points in time as this service writes and reads them: UTC, RFC 3339, at least milliseconds.

use std::{fmt, time::Duration};

use chrono::{
    DateTime, Datelike, NaiveDate, NaiveDateTime, SecondsFormat, SubsecRound, TimeDelta, Timelike,
    Utc,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::ToSchema;

/// A point in time in UTC. Shown as `2026-01-01T00:00:00.000Z`, with more digits only where it has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, ToSchema)]
#[schema(value_type = String, format = DateTime, examples("2026-01-01T00:00:00.000Z"))]
pub struct Timestamp(pub DateTime<Utc>);

impl Timestamp {
    /// Reads RFC 3339 with any offset; refuses times without a zone.
    pub fn parse_zoned(text: &str) -> Option<Self> {
        parse_plain_zoned(text.as_bytes()).or_else(|| parse_general_zoned(text))
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

    /// The same time without what is finer than a millisecond.
    pub fn in_milliseconds(self) -> Self {
        Self(self.0.trunc_subsecs(3))
    }

    /// The form in which the Sync Database holds times: `2026-01-01 00:00:00.000`, naive UTC.
    pub fn to_stored(self) -> String {
        let decimals = if self.decimals() == 3 { 3 } else { 9 };
        let mut text = Vec::with_capacity(PLAIN.len());
        let is_written = self.write_plainly(b' ', decimals, &mut text);
        let plain = String::from_utf8(text).ok().filter(|_| is_written);
        plain.unwrap_or_else(|| self.generally_stored())
    }

    /// Appends it as it is shown.
    pub fn write_to(self, text: &mut Vec<u8>) {
        if self.write_plainly(b'T', self.decimals(), text) {
            text.push(b'Z');
        } else {
            text.extend_from_slice(self.to_string().as_bytes());
        }
    }

    /// How many decimals of a second are shown.
    fn decimals(self) -> u32 {
        match self.0.timestamp_subsec_nanos() {
            nanoseconds if nanoseconds.is_multiple_of(1_000_000) => 3,
            nanoseconds if nanoseconds.is_multiple_of(1_000) => 6,
            _ => 9,
        }
    }

    /// Appends it digit by digit, with that between date and time and so many decimals; chrono's formats cost ten times as
    /// much. Appends nothing, and says so, where the year has not four digits, and in a leap second.
    fn write_plainly(self, between: u8, decimals: u32, text: &mut Vec<u8>) -> bool {
        // Asked itself, a time with a zone would add that up for every part.
        let time = self.0.naive_utc();
        let nanoseconds = time.nanosecond();
        let Some(year) = u32::try_from(time.year()).ok().filter(|year| *year <= 9999) else {
            return false;
        };
        if nanoseconds >= 1_000_000_000 {
            return false;
        }
        let mut plain = *PLAIN;
        plain[10] = between;
        let length = plain.len() - 9 + decimals as usize;
        for (begin, end, mut number) in [
            (0, 4, year),
            (5, 7, time.month()),
            (8, 10, time.day()),
            (11, 13, time.hour()),
            (14, 16, time.minute()),
            (17, 19, time.second()),
            (20, length, nanoseconds / 10_u32.pow(9 - decimals)),
        ] {
            for place in plain[begin..end].iter_mut().rev() {
                *place = b'0' + (number % 10) as u8;
                number /= 10;
            }
        }
        text.extend_from_slice(&plain[..length]);
        true
    }

    fn generally_stored(self) -> String {
        let format = if self.0.nanosecond().is_multiple_of(1_000_000) {
            "%Y-%m-%d %H:%M:%S%.3f"
        } else {
            "%Y-%m-%d %H:%M:%S%.9f"
        };
        self.0.format(format).to_string()
    }

    /// This point and so much more, up to a whole millisecond: what is told of the future is told like everything else. The
    /// same where that is beyond all time.
    pub fn later_by(self, wait: Duration) -> Self {
        const MILLISECOND: u32 = 1_000_000;
        let later = TimeDelta::from_std(wait)
            .ok()
            .and_then(|wait| self.0.checked_add_signed(wait));
        let Some(later) = later else {
            return self;
        };
        let beyond = later.nanosecond() % MILLISECOND;
        let rest = (MILLISECOND - beyond) % MILLISECOND;
        Self(later + TimeDelta::nanoseconds(rest.into()))
    }

    /// Seconds from `earlier` to this point, never negative.
    pub fn seconds_since(self, earlier: Self) -> f64 {
        (self.0 - earlier.0)
            .to_std()
            .map_or(0.0, |duration| duration.as_secs_f64())
    }

    /// Whole seconds from `earlier` to this point, never negative.
    pub fn whole_seconds_since(self, earlier: Self) -> u64 {
        (self.0 - earlier.0)
            .to_std()
            .map_or(0, |duration| duration.as_secs())
    }
}

/// With as many decimals as there may be.
const PLAIN: &[u8; 29] = b"0000-00-00 00:00:00.000000000";

fn parse_general_zoned(text: &str) -> Option<Timestamp> {
    let time = DateTime::parse_from_rfc3339(text).ok()?;
    // More would be cut off without a word.
    let decimals = text.split_once('.').map_or("", |(_, rest)| rest);
    let decimals = decimals
        .split(|letter: char| !letter.is_ascii_digit())
        .next()?;
    let beyond = decimals.get(MOST_DECIMALS..).unwrap_or_default();
    let is_whole = beyond.bytes().all(|digit| digit == b'0');
    is_whole.then(|| Timestamp(time.with_timezone(&Utc)))
}

/// Of a second, in a time.
const MOST_DECIMALS: usize = 9;

/// Reads RFC 3339 in its usual form, with a `T` and up to nine decimals; none for every other one.
fn parse_plain_zoned(text: &[u8]) -> Option<Timestamp> {
    if let [local @ .., b'Z'] = text {
        return (text.get(10) == Some(&b'T'))
            .then(|| parse_plain(local).map(|time| Timestamp(time.and_utc())))?;
    }
    let (local, zone) = text.split_at_checked(text.len().checked_sub("+00:00".len())?)?;
    let [sign @ (b'+' | b'-'), hours @ .., b':', _, _] = zone else {
        return None;
    };
    let (hours, minutes) = (number(hours)?, number(&zone[4..])?);
    if local.get(10) != Some(&b'T') || hours > 23 || minutes > 59 {
        return None;
    }
    let seconds = i64::from(hours * 3600 + minutes * 60);
    let ahead = TimeDelta::seconds(if *sign == b'+' { seconds } else { -seconds });
    let time = parse_plain(local)?.checked_sub_signed(ahead)?;
    Some(Timestamp(time.and_utc()))
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
        let digits = match self.decimals() {
            3 => SecondsFormat::Millis,
            6 => SecondsFormat::Micros,
            _ => SecondsFormat::Nanos,
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
    use proptest::prelude::*;

    #[test]
    fn what_is_to_come_is_told_in_milliseconds_and_never_too_early() {
        let now = Timestamp::parse_zoned("2026-01-01T00:00:00.999Z").expect("a time");
        for (wait, told) in [
            (0, "2026-01-01T00:00:00.999Z"),
            (1, "2026-01-01T00:00:01.000Z"),
            (1_000_000, "2026-01-01T00:00:01.000Z"),
            (2_109_792_063, "2026-01-01T00:00:03.109Z"),
        ] {
            let later = now.later_by(Duration::from_nanos(wait));
            assert_eq!(later.to_string(), told, "{wait}");
        }
        assert_eq!(now.later_by(Duration::MAX), now);
    }

    #[test]
    fn decimals_that_nobody_keeps_are_refused() {
        for text in [
            "2026-01-01T00:00:00.1234567891Z",
            "2026-01-01T00:00:00.000000000999+01:00",
        ] {
            assert_eq!(Timestamp::parse_zoned(text), None, "{text}");
        }
        let zeros = Timestamp::parse_zoned("2026-01-01T00:00:00.123456789000Z");
        assert_eq!(
            zeros.map(|time| time.to_string()).as_deref(),
            Some("2026-01-01T00:00:00.123456789Z")
        );
    }

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
    fn the_usual_form_with_a_zone_is_read_as_the_general_one_is() {
        for text in [
            "2026-01-01T00:00:00Z",
            "2026-12-31T23:59:59.999Z",
            "2024-02-29T12:00:00.000000001Z",
            "2026-01-01T00:00:00+00:00",
            "2026-01-01T00:00:00-00:00",
            "2026-01-01T00:30:00.5+05:45",
            "2026-12-31T23:30:00-23:59",
            "0000-01-01T00:00:00+23:59",
            "9999-12-31T23:59:59.123456789-23:59",
        ] {
            let general = parse_general_zoned(text);
            assert_eq!(parse_plain_zoned(text.as_bytes()), general, "{text}");
            assert!(general.is_some(), "{text}");
        }
        for other in [
            "",
            "Z",
            "+00:00",
            "2026-01-01 00:00:00Z",
            "2026-01-01t00:00:00z",
            "2026-01-01T00:00:00",
            "2026-01-01T00:00:60Z",
            "2026-02-29T00:00:00Z",
            "2026-01-01T00:00:00.Z",
            "2026-01-01T00:00:00.1234567890Z",
            "2026-01-01T00:00:00+24:00",
            "2026-01-01T00:00:00+00:60",
            "2026-01-01T00:00:00+0000",
            "2026-01-01T00:00:00+00",
            "2026-01-01T00:00:00+0x:00",
            "2026-01-01T00:00:00 00:00",
        ] {
            assert_eq!(parse_plain_zoned(other.as_bytes()), None, "{other}");
        }
    }

    proptest! {
        #[test]
        fn times_are_stored_as_chrono_formats_them(
            seconds in -70_000_000_000_i64..300_000_000_000,
            nanoseconds in prop_oneof![
                Just(0_u32),
                0..1_000_000_000_u32,
                (0..1_000_u32).prop_map(|milliseconds| milliseconds * 1_000_000),
                (0..1_000_000_u32).prop_map(|microseconds| microseconds * 1_000),
            ],
        ) {
            let time = Timestamp(DateTime::from_timestamp(seconds, nanoseconds).expect("a time"));
            prop_assert_eq!(time.to_stored(), time.generally_stored());
            let mut written = Vec::new();
            time.write_to(&mut written);
            prop_assert_eq!(written, time.to_string().into_bytes());
        }

        #[test]
        fn times_with_a_zone_are_read_as_chrono_reads_them(
            text in r"20[0-9]{2}-[01][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-6][0-9]:[0-6][0-9](\.[0-9]{0,10})?(Z|[+-][0-2][0-9]:[0-6][0-9])",
        ) {
            prop_assert_eq!(Timestamp::parse_zoned(&text), parse_general_zoned(&text), "{}", text);
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
