//! Reads result cells as they are, whatever their column was declared to hold: other programs write here too.

use sqlx::{Decode, Row, Sqlite, TypeInfo, ValueRef, sqlite::SqliteRow};

use crate::{
    domain::{reading::RawCell, timestamp::Timestamp},
    storage::{StoreError, errors},
};

/// The cell in column `index`.
pub(super) fn cell(row: &SqliteRow, index: usize) -> Result<RawCell, StoreError> {
    let value = row.try_get_raw(index)?;
    if value.is_null() {
        return Ok(RawCell::Null);
    }
    let kind = value.type_info().into_owned();
    let decoded = match kind.name() {
        "INTEGER" => <i64 as Decode<Sqlite>>::decode(value).map(RawCell::Integer),
        "REAL" => <f64 as Decode<Sqlite>>::decode(value).map(RawCell::Real),
        "TEXT" => <&str as Decode<Sqlite>>::decode(value).map(|text| RawCell::Text(text.into())),
        _ => Ok(RawCell::Blob),
    };
    // Text that is no UTF-8 is as unreadable as binary data.
    Ok(decoded.unwrap_or(RawCell::Blob))
}

/// What a person would write for the cell; none for NULL.
pub(super) fn text(row: &SqliteRow, index: usize) -> Result<Option<String>, StoreError> {
    Ok(cell(row, index)?.to_text())
}

/// A text that is always there.
pub(super) fn required_text(row: &SqliteRow, index: usize) -> Result<String, StoreError> {
    text(row, index)?.ok_or_else(|| errors::nonsense("a text column"))
}

/// A whole number; none for anything else.
pub(super) fn integer(row: &SqliteRow, index: usize) -> Result<Option<i64>, StoreError> {
    Ok(match cell(row, index)? {
        RawCell::Integer(number) => Some(number),
        _ => None,
    })
}

/// A whole number that is always there.
pub(super) fn required_integer(row: &SqliteRow, index: usize) -> Result<i64, StoreError> {
    integer(row, index)?.ok_or_else(|| errors::nonsense("a number column"))
}

/// A whole number that is always there and never outgrows its type.
pub(super) fn required_count<T: TryFrom<i64>>(
    row: &SqliteRow,
    index: usize,
) -> Result<T, StoreError> {
    T::try_from(required_integer(row, index)?).map_err(|_| errors::nonsense("a number column"))
}

/// A truth value; none for anything else.
pub(super) fn boolean(row: &SqliteRow, index: usize) -> Result<Option<bool>, StoreError> {
    Ok(integer(row, index)?.map(|number| number != 0))
}

/// A point in time; none for anything else.
pub(super) fn time(row: &SqliteRow, index: usize) -> Result<Option<Timestamp>, StoreError> {
    Ok(match cell(row, index)? {
        RawCell::Text(text) => Timestamp::parse_stored(&text),
        _ => None,
    })
}

/// A point in time that is always there.
pub(super) fn required_time(row: &SqliteRow, index: usize) -> Result<Timestamp, StoreError> {
    time(row, index)?.ok_or_else(|| errors::nonsense("a time column"))
}
