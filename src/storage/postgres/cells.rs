//! Reads result cells straight from their binary form: the rows of a batch pass through here one by one.

use chrono::{DateTime, TimeDelta};
use compact_str::CompactString;
use sqlx::{Decode, Postgres, Row, Type, ValueRef, postgres::PgRow};

use crate::{
    domain::{reading::RawCell, timestamp::Timestamp},
    storage::{StoreError, errors},
};

/// Microseconds from 1970 to 2000, where PostgreSQL's time begins.
const EPOCH_MICROSECONDS: i64 = 946_684_800_000_000;

/// The cell in column `index`, whatever type it has.
pub(super) fn get<'r, T>(row: &'r PgRow, index: usize) -> Result<T, StoreError>
where
    T: Decode<'r, Postgres> + Type<Postgres>,
{
    Ok(row.try_get(index)?)
}

/// A count that is never negative and never outgrows its type.
pub(super) fn count<T: TryFrom<i64>>(row: &PgRow, index: usize) -> Result<T, StoreError> {
    T::try_from(get::<i64>(row, index)?).map_err(|_| errors::nonsense("a number column"))
}

/// A text of a table that other programs write. Text that is no UTF-8 is as unreadable as binary data.
pub(super) fn text(row: &PgRow, index: usize) -> Result<RawCell, StoreError> {
    Ok(match bytes(row, index)? {
        None => RawCell::Null,
        Some(bytes) => {
            std::str::from_utf8(bytes).map_or(RawCell::Blob, |text| RawCell::Text(text.into()))
        }
    })
}

/// A `timestamp`; the infinite ones, and those that nobody can write down, are told in words.
pub(super) fn time(row: &PgRow, index: usize) -> Result<RawCell, StoreError> {
    let Some(bytes) = bytes(row, index)? else {
        return Ok(RawCell::Null);
    };
    let microseconds = bytes
        .try_into()
        .map(i64::from_be_bytes)
        .map_err(|_| errors::nonsense("a time column"))?;
    Ok(match microseconds {
        i64::MAX => RawCell::Text("infinity".into()),
        i64::MIN => RawCell::Text("-infinity".into()),
        microseconds => point_in_time(microseconds).map_or_else(
            || RawCell::Text(format!("{microseconds} microseconds after 2000-01-01").into()),
            RawCell::Time,
        ),
    })
}

/// A transaction's number, an `xid`; none for anything else.
pub(super) fn transaction(row: &PgRow, index: usize) -> Result<Option<u32>, StoreError> {
    let bytes = bytes(row, index)?.and_then(|bytes| bytes.try_into().ok());
    Ok(bytes.map(u32::from_be_bytes))
}

/// A point in time, where it is one.
pub(super) fn optional_time(row: &PgRow, index: usize) -> Result<Option<Timestamp>, StoreError> {
    Ok(match time(row, index)? {
        RawCell::Time(time) => Some(time),
        _ => None,
    })
}

/// A point in time that is always there.
pub(super) fn required_time(row: &PgRow, index: usize) -> Result<Timestamp, StoreError> {
    optional_time(row, index)?.ok_or_else(|| errors::nonsense("a time column"))
}

/// A `numeric` in its exact decimal form; `NaN` and the infinities in words.
pub(super) fn decimal(row: &PgRow, index: usize) -> Result<RawCell, StoreError> {
    let Some(bytes) = bytes(row, index)? else {
        return Ok(RawCell::Null);
    };
    decimal_text(bytes)
        .map(RawCell::Text)
        .ok_or_else(|| errors::nonsense("a numeric column"))
}

fn bytes(row: &PgRow, index: usize) -> Result<Option<&[u8]>, StoreError> {
    let value = row.try_get_raw(index)?;
    if value.is_null() {
        return Ok(None);
    }
    value
        .as_bytes()
        .map(Some)
        .map_err(|error| StoreError::Failed(error.to_string()))
}

fn point_in_time(microseconds: i64) -> Option<Timestamp> {
    let microseconds = microseconds.checked_add(EPOCH_MICROSECONDS)?;
    DateTime::UNIX_EPOCH
        .checked_add_signed(TimeDelta::microseconds(microseconds))
        .map(Timestamp)
}

/// Writes out a `numeric` as PostgreSQL sends it: number of digits, weight of the first, sign, decimals to show, and
/// the digits to the base of 10,000. See `numeric_send` in PostgreSQL's `numeric.c`.
fn decimal_text(bytes: &[u8]) -> Option<CompactString> {
    let word = |at: usize| {
        Some(u16::from_be_bytes(
            bytes.get(2 * at..2 * at + 2)?.try_into().ok()?,
        ))
    };
    let (length, weight, sign, decimals) = (word(0)?, word(1)?.cast_signed(), word(2)?, word(3)?);
    let sign = match sign {
        0x0000 => "",
        0x4000 => "-",
        0xC000 => return Some("NaN".into()),
        0xD000 => return Some("Infinity".into()),
        0xF000 => return Some("-Infinity".into()),
        _ => return None,
    };
    // The digit that stands for 10,000 to this power.
    let digit = |power: i32| {
        usize::try_from(i32::from(weight) - power)
            .ok()
            .filter(|at| *at < usize::from(length))
            .map_or(Some(0), |at| word(4 + at))
    };
    let mut text = CompactString::default();
    text.push_str(sign);
    let highest = i32::from(weight).max(0);
    push_integer(&mut text, digit(highest)?);
    for power in (0..highest).rev() {
        push_padded(&mut text, digit(power)?);
    }
    if decimals > 0 {
        text.push('.');
        let end = text.len() + usize::from(decimals);
        let mut power = -1;
        while text.len() < end {
            push_padded(&mut text, digit(power)?);
            power -= 1;
        }
        text.truncate(end);
    }
    Some(text)
}

fn push_integer(text: &mut CompactString, digit: u16) {
    let start = [1000, 100, 10]
        .iter()
        .filter(|smallest| digit < **smallest)
        .count();
    push_digits(text, digit, start);
}

fn push_padded(text: &mut CompactString, digit: u16) {
    push_digits(text, digit, 0);
}

/// The decimal digits of a number below 10,000, without the first `skip` of them.
fn push_digits(text: &mut CompactString, digit: u16, skip: usize) {
    let digits = [digit / 1000, digit / 100, digit / 10, digit];
    let digits = digits.map(|digit| b'0' + (digit % 10) as u8);
    text.push_str(std::str::from_utf8(&digits[skip..]).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numeric(weight: i16, sign: u16, decimals: u16, digits: &[u16]) -> Vec<u8> {
        let length = u16::try_from(digits.len()).expect("few digits");
        [length, weight.cast_unsigned(), sign, decimals]
            .iter()
            .chain(digits)
            .flat_map(|word| word.to_be_bytes())
            .collect()
    }

    #[test]
    fn numbers_are_written_out_as_the_server_does() {
        for (bytes, expected) in [
            (numeric(0, 0, 3, &[]), "0.000"),
            (numeric(0, 0, 0, &[7]), "7"),
            (numeric(0, 0, 3, &[12, 3400]), "12.340"),
            (numeric(-1, 0, 3, &[10]), "0.001"),
            (numeric(-1, 0x4000, 3, &[1000]), "-0.100"),
            (
                numeric(2, 0, 3, &[9999, 9999, 9999, 9990]),
                "999999999999.999",
            ),
            (numeric(1, 0, 3, &[1]), "10000.000"),
            (numeric(1, 0, 0, &[1, 20]), "10020"),
            (numeric(-2, 0, 9, &[1200]), "0.000012000"),
            (numeric(0, 0xC000, 0, &[]), "NaN"),
        ] {
            assert_eq!(decimal_text(&bytes).as_deref(), Some(expected));
        }
        assert_eq!(decimal_text(&[0, 1]), None);
    }

    #[test]
    fn times_count_from_the_year_2000() {
        let time = |microseconds| point_in_time(microseconds).map(|time| time.to_string());
        assert_eq!(time(0).as_deref(), Some("2000-01-01T00:00:00.000Z"));
        assert_eq!(time(-1).as_deref(), Some("1999-12-31T23:59:59.999999Z"));
        assert_eq!(time(i64::MAX - 1), None);
    }
}
