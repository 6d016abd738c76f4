//! New readings on their way in: parsed and judged here, once, so that the inside never has to ask again.

mod characters;
mod elements;
mod lines;
mod non_numbers;
mod quick;

use std::{borrow::Cow, fmt};

use chrono::Datelike;
use compact_str::CompactString;
use serde::Deserialize;
use serde_json::value::RawValue;
use tracing::Span;

use self::elements::{Bounded, elements};
pub use self::lines::IncomingLines;
use super::{Control, ControlError, ReadingProblem};
use crate::{
    domain::{
        quarantine::QuarantineCorrection,
        reading::{DATA_POINT_MAX, METER_EXTERNAL_ID_MAX, Reading, UNIT_MAX},
        store::Ingested,
        timestamp::Timestamp,
        value::ReadingValue,
        words,
    },
    messages::database_writer::InsertReadings,
    supervision::ask::ask_within,
};

/// The most readings in one request.
pub const MOST_READINGS: usize = 10_000;
/// The most bytes in one request.
pub const MOST_BYTES: usize = 10 * 1024 * 1024;
/// The most bytes of all that is said about the faults of readings: more than ten thousand take that are refused for one reason
/// each.
const MOST_SAID: usize = 2 * 1024 * 1024;
/// The most characters that are said about one; it may repeat what was sent.
pub(super) const LONGEST_REASON: usize = 500;
/// The most characters of an idempotency key.
const KEY_MAX: usize = 255;
/// Digits beyond this are no measurement; the columns hold fifteen.
const NUMBER_MAX: usize = 64;
/// Bodies larger than this are parsed away from the thread that serves requests.
const QUICKLY_PARSED_BYTES: usize = 32 * 1024;
/// Measurements outside of these years come from a clock that is wrong.
const YEARS: std::ops::RangeInclusive<i32> = 1970..=2100;

/// In which form readings come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyFormat {
    /// A JSON array of readings, or an object with the array as `readings`.
    Json,
    /// One reading in JSON per line.
    Lines,
}

impl Control {
    /// Stores the readings of a body in JSON, all or none; answers only after they are durable. With a key, a repetition of
    /// the same contents stores nothing and says so.
    ///
    /// # Errors
    /// When a reading or the key makes no sense, there are too many, the key was used for other readings, or
    /// the database writer cannot do it.
    pub async fn store_readings(
        &self,
        body: impl AsRef<[u8]> + Send + 'static,
        key: Option<String>,
    ) -> Result<Ingested, ControlError> {
        key.as_deref().map_or(Ok(()), check_key)?;
        let readings = parse_where_it_fits(body).await?;
        self.store(readings, key).await
    }

    /// As [`Control::store_readings`], with readings that came one per line, all of which have been read.
    ///
    /// # Errors
    /// As [`Control::store_readings`].
    pub async fn store_lines(
        &self,
        lines: IncomingLines,
        key: Option<String>,
    ) -> Result<Ingested, ControlError> {
        key.as_deref().map_or(Ok(()), check_key)?;
        self.store(lines.finish()?, key).await
    }

    async fn store(
        &self,
        readings: Vec<Reading>,
        key: Option<String>,
    ) -> Result<Ingested, ControlError> {
        check_times(&readings, self.parts.store.nanoseconds_apart())?;
        let message = InsertReadings {
            readings,
            key,
            span: Span::current(),
        };
        let patience = self.parts.patience.short;
        Ok(ask_within(&self.parts.insert_readings, message, patience)
            .await
            .map_err(ControlError::StoringUnanswered)??)
    }
}

/// What the database would cut off is refused.
fn check_times(readings: &[Reading], nanoseconds_apart: u32) -> Result<(), ControlError> {
    let mut judged = Judged::default();
    for (index, reading) in readings.iter().enumerate() {
        if let Some(reason) = kept_time_problem(reading.timestamp, nanoseconds_apart) {
            judged.refuse(index, &reason);
        }
    }
    judged.into_result().map(drop)
}

/// Why a database that tells such times apart cannot keep this one as it is.
pub(super) fn kept_time_problem(timestamp: Timestamp, nanoseconds_apart: u32) -> Option<String> {
    let is_kept = timestamp
        .0
        .timestamp_subsec_nanos()
        .is_multiple_of(nanoseconds_apart);
    (!is_kept).then(|| {
        format!(
            "timestamp: is finer than the {nanoseconds_apart} nanoseconds that this Sync Database tells apart"
        )
    })
}

fn check_key(key: &str) -> Result<(), ControlError> {
    let sound =
        (1..=KEY_MAX).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic());
    if sound {
        return Ok(());
    }
    Err(ControlError::Invalid(format!(
        "the Idempotency-Key is not valid, so nothing was stored; allowed are 1 to {KEY_MAX} visible ASCII characters without spaces"
    )))
}

async fn parse_where_it_fits(
    body: impl AsRef<[u8]> + Send + 'static,
) -> Result<Vec<Reading>, ControlError> {
    if body.as_ref().len() <= QUICKLY_PARSED_BYTES {
        return parse(body.as_ref(), BodyFormat::Json);
    }
    tokio::task::spawn_blocking(move || parse(body.as_ref(), BodyFormat::Json))
        .await
        .unwrap_or_else(|failure| {
            Err(ControlError::Unavailable(format!(
                "the readings could not be parsed, so none was stored: {failure}"
            )))
        })
}

/// Reads and judges all readings of a request.
///
/// # Errors
/// As [`Control::store_readings`], as far as the body alone tells.
pub fn parse(body: &[u8], format: BodyFormat) -> Result<Vec<Reading>, ControlError> {
    match format {
        BodyFormat::Json => {
            check_size(body.len())?;
            parse_array(std::str::from_utf8(body).map_err(|error| malformed(&error))?)
        }
        BodyFormat::Lines => {
            let mut lines = IncomingLines::default();
            lines.push(body);
            lines.finish()
        }
    }
}

fn check_size(bytes: usize) -> Result<(), ControlError> {
    if bytes <= MOST_BYTES {
        return Ok(());
    }
    Err(ControlError::TooLarge(format!(
        "the request holds {bytes} bytes, more than the {MOST_BYTES} that are taken at once, so nothing was stored; send the readings in several requests"
    )))
}

fn parse_array(body: &str) -> Result<Vec<Reading>, ControlError> {
    if let Some(readings) = quick::array(body) {
        return Ok(readings);
    }
    match elements(body) {
        Ok(found) => judge_all(found),
        Err(error) => {
            let marked = non_numbers::marked(body);
            if let Some(found) = marked.as_deref().and_then(|marked| elements(marked).ok()) {
                judge_all(found)?;
            }
            Err(malformed(&error))
        }
    }
}

fn judge_all(found: Bounded<'_>) -> Result<Vec<Reading>, ControlError> {
    check_count(found.count)?;
    let mut judged = Judged::default();
    for (index, item) in found.items.into_iter().enumerate() {
        judged.judge(index, item.get());
    }
    judged.into_result()
}

fn malformed(error: &dyn fmt::Display) -> ControlError {
    let error = words::cut(&error.to_string(), LONGEST_REASON);
    ControlError::Invalid(format!(
        "the body cannot be read, so nothing was stored: {error}; send a JSON array of readings, an object {{\"readings\": […]}}, or one reading per line as application/x-ndjson"
    ))
}

fn check_count(count: usize) -> Result<(), ControlError> {
    match count {
        0 => Err(ControlError::Invalid(
            "the request holds no reading, so nothing was stored".to_owned(),
        )),
        1..=MOST_READINGS => Ok(()),
        _ => Err(ControlError::TooLarge(format!(
            "the request holds {} readings, more than the {} that are taken at once, so nothing was stored; send them in several requests",
            words::count(count as u64),
            words::count(MOST_READINGS as u64)
        ))),
    }
}

/// Readings that have been judged, and their faults.
#[derive(Default)]
struct Judged {
    readings: Vec<Reading>,
    problems: Vec<ReadingProblem>,
    /// Bytes of their reasons.
    said: usize,
    /// Readings with faults that are not listed.
    more: usize,
}

impl Judged {
    fn judge(&mut self, index: usize, text: &str) {
        match judge(text) {
            Ok(reading) => self.readings.push(reading),
            Err(reason) => self.refuse(index, &reason),
        }
    }

    fn refuse(&mut self, index: usize, reason: &str) {
        let reason = words::cut(reason, LONGEST_REASON);
        if self.more > 0 || self.said + reason.len() > MOST_SAID {
            self.more += 1;
            return;
        }
        self.said += reason.len();
        self.problems.push(ReadingProblem { index, reason });
    }

    fn into_result(self) -> Result<Vec<Reading>, ControlError> {
        let Self {
            readings,
            problems,
            more,
            ..
        } = self;
        if problems.is_empty() {
            Ok(readings)
        } else {
            Err(ControlError::InvalidReadings { problems, more })
        }
    }
}

/// A reading as it comes in. The value stays text, so that no digit is lost.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Incoming<'a> {
    #[serde(borrow)]
    meter_external_id: Cow<'a, str>,
    #[serde(borrow)]
    timestamp: Cow<'a, str>,
    #[serde(borrow)]
    data_point: Cow<'a, str>,
    #[serde(borrow)]
    value: &'a RawValue,
    #[serde(borrow)]
    unit: Option<Cow<'a, str>>,
}

fn judge(text: &str) -> Result<Reading, String> {
    quick::single(text).map_or_else(|| judge_carefully(text), Ok)
}

fn judge_carefully(text: &str) -> Result<Reading, String> {
    // Serde would take an array of the values in the fields' order as well.
    if !text.trim_start().starts_with('{') {
        return Err("a JSON object is expected".to_owned());
    }
    let incoming: Incoming<'_> =
        serde_json::from_str(text).map_err(|error| without_place(&error))?;
    let timestamp = Timestamp::parse_zoned(&incoming.timestamp);
    let value = ReadingValue::parse(incoming.value.get());
    let problems = [
        name_problem(
            "meter_external_id",
            &incoming.meter_external_id,
            METER_EXTERNAL_ID_MAX,
        ),
        name_problem("data_point", &incoming.data_point, DATA_POINT_MAX),
        unit_problem(incoming.unit.as_deref()),
        timestamp.map_or_else(|| Some(NO_TIME.to_owned()), timestamp_problem),
        value
            .as_ref()
            .map_or_else(|| Some(NO_NUMBER.to_owned()), value_problem),
    ];
    match (timestamp, value, join(problems)) {
        (Some(timestamp), Some(value), None) => Ok(Reading {
            meter_external_id: incoming.meter_external_id.into(),
            timestamp,
            data_point: incoming.data_point.into(),
            value,
            unit: incoming.unit.map(CompactString::from),
        }),
        (_, _, problems) => Err(problems.unwrap_or_default()),
    }
}

/// What is wrong with a correction, judged like a new reading.
pub(super) fn correction_problem(correction: &QuarantineCorrection) -> Option<String> {
    let name = |field, name: &Option<String>, longest| {
        name.as_deref()
            .and_then(|name| name_problem(field, name, longest))
    };
    let value = correction.value.as_deref().and_then(|text| {
        ReadingValue::parse(text)
            .map_or_else(|| Some(NO_NUMBER.to_owned()), |value| value_problem(&value))
    });
    join([
        name(
            "meter_external_id",
            &correction.meter_external_id,
            METER_EXTERNAL_ID_MAX,
        ),
        name("data_point", &correction.data_point, DATA_POINT_MAX),
        unit_problem(correction.unit.as_ref().and_then(Option::as_deref)),
        correction.timestamp.and_then(timestamp_problem),
        value,
    ])
}

const NO_TIME: &str =
    "timestamp: a time in RFC 3339 with a zone is expected, such as 2026-01-01T00:00:00.000Z";
const NO_NUMBER: &str = "value: a JSON number is expected";

/// Whether a name has no problem.
fn is_sound_name(name: &str, longest: usize) -> bool {
    let is_plain = is_printable_ascii(name) && name.bytes().any(|byte| byte != b' ');
    (is_plain && name.len() <= longest) || name_problem("", name, longest).is_none()
}

/// Whether a unit has no problem.
fn is_sound_unit(unit: &str) -> bool {
    (is_printable_ascii(unit) && unit.len() <= UNIT_MAX) || unit_problem(Some(unit)).is_none()
}

fn is_printable_ascii(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}

fn name_problem(field: &str, name: &str, longest: usize) -> Option<String> {
    let length = name.chars().count();
    if name.trim().is_empty() {
        Some(format!("{field}: is empty"))
    } else if length > longest {
        Some(format!(
            "{field}: holds {length} characters, at most {longest} are allowed"
        ))
    } else {
        unseen_character(field, name)
    }
}

fn unit_problem(unit: Option<&str>) -> Option<String> {
    let unit = unit?;
    let length = unit.chars().count();
    if length > UNIT_MAX {
        return Some(format!(
            "unit: holds {length} characters, at most {UNIT_MAX} are allowed"
        ));
    }
    unseen_character("unit", unit)
}

fn unseen_character(field: &str, text: &str) -> Option<String> {
    let control = text.chars().find(|character| character.is_control());
    let (kind, found) = match control {
        Some(found) => ("control", found),
        None => ("invisible", characters::first_invisible(text)?),
    };
    Some(format!(
        "{field}: holds the {kind} character {}",
        found.escape_unicode()
    ))
}

fn timestamp_problem(timestamp: Timestamp) -> Option<String> {
    let year = timestamp.0.year();
    if !YEARS.contains(&year) {
        return Some(format!(
            "timestamp: the year {year} is outside of {} to {}",
            YEARS.start(),
            YEARS.end()
        ));
    }
    // Chrono shows the 61st second of a minute as more than a billion nanoseconds; hardly anybody else can.
    (timestamp.0.timestamp_subsec_nanos() >= 1_000_000_000)
        .then(|| "timestamp: leap seconds are not taken".to_owned())
}

fn value_problem(value: &ReadingValue) -> Option<String> {
    if value.as_str().len() > NUMBER_MAX {
        Some(format!(
            "value: is written with more than {NUMBER_MAX} characters"
        ))
    } else if value.fits_numeric_15_3() {
        None
    } else {
        Some(format!(
            "value: {value} does not fit; at most 12 digits before and 3 after the decimal point are kept"
        ))
    }
}

fn join<const N: usize>(problems: [Option<String>; N]) -> Option<String> {
    let found: Vec<String> = problems.into_iter().flatten().collect();
    (!found.is_empty()).then(|| found.join("; "))
}

/// serde_json says at which line and column of the reading it stopped; the reading's index says more.
fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rfind(" at line ") {
        Some(end) if error.is_data() => text[..end].to_owned(),
        _ => text,
    }
}

#[cfg(test)]
#[path = "ingestion_tests.rs"]
mod tests;
