//! Readings in the form in which nearly all of them come, read in one pass over the bytes. Nothing is refused here: what has
//! another form, or some fault, is left to be read carefully and, where that has to be, refused in words.

use std::borrow::Cow;

use compact_str::CompactString;

use super::{MOST_READINGS, is_sound_name, is_sound_unit, timestamp_problem, value_problem};
use crate::domain::{
    json_text::has_to_be_escaped,
    reading::{DATA_POINT_MAX, METER_EXTERNAL_ID_MAX, Reading},
    timestamp::Timestamp,
    value::ReadingValue,
};

/// About so long is a short reading in JSON, in bytes.
const SHORT_READING: usize = 100;

/// All readings of an array, or of an object that holds it; none unless every one of them is sound and there are neither
/// none nor too many.
pub(super) fn array(body: &str) -> Option<Vec<Reading>> {
    let mut rest = Rest(body);
    let is_in_object = rest.takes(b'{');
    if is_in_object {
        rest.field_name("\"readings\"")?;
    }
    rest.take(b'[')?;
    let mut readings = Vec::with_capacity((body.len() / SHORT_READING).min(MOST_READINGS));
    loop {
        if readings.len() == MOST_READINGS {
            return None;
        }
        readings.push(rest.reading()?);
        if !rest.takes(b',') {
            break;
        }
    }
    rest.take(b']')?;
    if is_in_object {
        rest.take(b'}')?;
    }
    rest.is_at_its_end().then_some(readings)
}

/// A reading by itself; none unless it is sound.
pub(super) fn single(text: &str) -> Option<Reading> {
    let mut rest = Rest(text);
    let reading = rest.reading()?;
    rest.is_at_its_end().then_some(reading)
}

enum Field {
    Meter,
    Timestamp,
    DataPoint,
    Value,
    Unit,
}

/// What has not been read yet.
struct Rest<'a>(&'a str);

impl<'a> Rest<'a> {
    fn reading(&mut self) -> Option<Reading> {
        let (mut meter, mut timestamp, mut point, mut value, mut unit) =
            (None, None, None, None, None);
        self.take(b'{')?;
        loop {
            // A field that comes twice is a fault, so that none replaces an earlier one.
            match self.field()? {
                Field::Meter => set(&mut meter, self.name(METER_EXTERNAL_ID_MAX)?)?,
                Field::Timestamp => set(&mut timestamp, self.time()?)?,
                Field::DataPoint => set(&mut point, self.name(DATA_POINT_MAX)?)?,
                Field::Value => set(&mut value, self.number()?)?,
                Field::Unit => set(&mut unit, self.unit()?)?,
            }
            if !self.takes(b',') {
                break;
            }
        }
        self.take(b'}')?;
        Some(Reading {
            meter_external_id: meter?,
            timestamp: timestamp?,
            data_point: point?,
            value: value?,
            unit: unit.flatten(),
        })
    }

    /// Takes the name of a field of a reading. One look at its first letter tells which one it can be.
    fn field(&mut self) -> Option<Field> {
        self.skip_space();
        let (quoted, field) = match self.0.as_bytes().get(1)? {
            b'm' => ("\"meter_external_id\"", Field::Meter),
            b't' => ("\"timestamp\"", Field::Timestamp),
            b'd' => ("\"data_point\"", Field::DataPoint),
            b'v' => ("\"value\"", Field::Value),
            b'u' => ("\"unit\"", Field::Unit),
            _ => return None,
        };
        self.field_name(quoted)?;
        Some(field)
    }

    fn name(&mut self, longest: usize) -> Option<CompactString> {
        let name = self.text()?;
        is_sound_name(&name, longest).then(|| name.into())
    }

    fn time(&mut self) -> Option<Timestamp> {
        let time = Timestamp::parse_zoned(&self.text()?)?;
        timestamp_problem(time).is_none().then_some(time)
    }

    fn unit(&mut self) -> Option<Option<CompactString>> {
        self.skip_space();
        if let Some(rest) = self.0.strip_prefix("null") {
            self.0 = rest;
            return Some(None);
        }
        let unit = self.text()?;
        is_sound_unit(&unit).then(|| Some(unit.into()))
    }

    fn number(&mut self) -> Option<ReadingValue> {
        self.skip_space();
        let bytes = self.0.bytes();
        let length = bytes
            .take_while(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'-' | b'+' | b'e' | b'E'))
            .count();
        let (number, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        ReadingValue::parse(number).filter(|value| value_problem(value).is_none())
    }

    fn text(&mut self) -> Option<Cow<'a, str>> {
        self.skip_space();
        let inside = self.0.strip_prefix('"')?;
        let length = inside.bytes().position(has_to_be_escaped)?;
        if inside.as_bytes()[length] != b'"' {
            return self.escaped_text(length + 1).map(Cow::Owned);
        }
        let (text, rest) = inside.split_at_checked(length)?;
        self.0 = rest.get(1..)?;
        Some(Cow::Borrowed(text))
    }

    /// Where clients keep to ASCII, `m³` comes as `m\u00b3`. The first so many bytes are known not to end the text.
    fn escaped_text(&mut self, known: usize) -> Option<String> {
        let mut end = known;
        loop {
            match self.0.as_bytes().get(end)? {
                b'"' => break,
                b'\\' => end += 2,
                _ => end += 1,
            }
        }
        let (text, rest) = self.0.split_at_checked(end + 1)?;
        self.0 = rest;
        serde_json::from_str(text).ok()
    }

    /// Takes the name of a field, if it is this one in its quotation marks, and the colon behind it.
    fn field_name(&mut self, quoted: &str) -> Option<()> {
        self.skip_space();
        self.0 = self.0.strip_prefix(quoted)?;
        self.take(b':')
    }

    fn take(&mut self, byte: u8) -> Option<()> {
        self.takes(byte).then_some(())
    }

    /// Whether this byte of ASCII comes next; then it is taken.
    #[inline]
    fn takes(&mut self, byte: u8) -> bool {
        self.skip_space();
        let comes_next = self.0.as_bytes().first() == Some(&byte);
        if comes_next {
            self.0 = &self.0[1..];
        }
        comes_next
    }

    #[inline]
    fn skip_space(&mut self) {
        let spaces = self.0.bytes().take_while(is_space).count();
        self.0 = &self.0[spaces..];
    }

    fn is_at_its_end(&mut self) -> bool {
        self.skip_space();
        self.0.is_empty()
    }
}

/// White space of JSON.
fn is_space(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\n' | b'\r' | b'\t')
}

fn set<T>(field: &mut Option<T>, value: T) -> Option<()> {
    field.replace(value).is_none().then_some(())
}
