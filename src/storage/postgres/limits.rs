//! What the columns of the readings' table can hold: they are the site's, and PostgreSQL would round a number that has
//! too many decimals, and cut blanks from a text that is too long, without a word.

use chrono::Datelike;
use sqlx::PgConnection;

use super::cells;
use crate::{domain::reading::Reading, storage::StoreError};

/// A `numeric` without limits holds so many digits in front of the point and behind it.
const MOST_DIGITS: (i64, i64) = (147_455, 16_383);
/// Years that a `timestamp` holds and that are written the same way everywhere.
pub(super) const YEARS: std::ops::RangeInclusive<i32> = 1..=9_999;

/// The limits of the columns as their types state them.
#[derive(Clone, Debug)]
pub(super) struct Limits {
    meter_external_id: TextLimit,
    data_point: TextLimit,
    unit: TextLimit,
    value: NumberLimit,
}

#[derive(Clone, Debug)]
struct TextLimit {
    column: &'static str,
    kind: String,
    characters: usize,
}

#[derive(Clone, Debug)]
struct NumberLimit {
    kind: String,
    precision: i64,
    scale: i64,
}

impl Limits {
    /// Those of the database at the other end.
    pub(super) async fn read(connection: &mut PgConnection) -> Result<Self, StoreError> {
        Ok(Self {
            meter_external_id: text_limit(connection, "meter_external_id").await?,
            data_point: text_limit(connection, "data_point").await?,
            unit: text_limit(connection, "unit").await?,
            value: number_limit(kind(connection, "value").await?),
        })
    }

    /// Whether the columns hold the reading exactly.
    ///
    /// # Errors
    /// Which column does not, and why.
    pub(super) fn check(&self, reading: &Reading) -> Result<(), String> {
        self.meter_external_id.check(&reading.meter_external_id)?;
        self.data_point.check(&reading.data_point)?;
        if let Some(unit) = &reading.unit {
            self.unit.check(unit)?;
        }
        let NumberLimit {
            kind,
            precision,
            scale,
        } = &self.value;
        if !reading.value.fits_numeric(*precision, *scale) {
            return Err(format!(
                "the column value of PostgreSQL, {kind}, does not hold {} without rounding",
                reading.value
            ));
        }
        if !YEARS.contains(&reading.timestamp.0.year()) {
            return Err(format!(
                "the column timestamp of PostgreSQL does not hold {}",
                reading.timestamp
            ));
        }
        Ok(())
    }
}

impl TextLimit {
    fn check(&self, text: &str) -> Result<(), String> {
        let Self {
            column,
            kind,
            characters,
        } = self;
        if text.contains('\0') {
            return Err(format!(
                "the column {column} of PostgreSQL does not hold a text with a NUL character"
            ));
        }
        let length = text.chars().count();
        if length > *characters {
            return Err(format!(
                "the column {column} of PostgreSQL, {kind}, does not hold a text of {length} characters"
            ));
        }
        Ok(())
    }
}

async fn text_limit(
    connection: &mut PgConnection,
    column: &'static str,
) -> Result<TextLimit, StoreError> {
    let kind = kind(connection, column).await?;
    let characters = modifiers(&kind).first().copied();
    Ok(TextLimit {
        column,
        characters: characters.map_or(usize::MAX, |limit| limit.try_into().unwrap_or(usize::MAX)),
        kind,
    })
}

fn number_limit(kind: String) -> NumberLimit {
    let (precision, scale) = match modifiers(&kind)[..] {
        [precision, scale, ..] => (precision, scale),
        [precision] => (precision, 0),
        [] => MOST_DIGITS,
    };
    NumberLimit {
        kind,
        precision,
        scale,
    }
}

/// The type of a column as the site has declared it.
async fn kind(connection: &mut PgConnection, column: &'static str) -> Result<String, StoreError> {
    let row = sqlx::query(include_str!("queries/column_type.sql"))
        .bind(column)
        .fetch_one(connection)
        .await?;
    cells::get(&row, 0)
}

/// The numbers in `numeric(15,3)`.
fn modifiers(kind: &str) -> Vec<i64> {
    kind.split(['(', ',', ')'])
        .skip(1)
        .filter_map(|number| number.trim().parse().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{timestamp::Timestamp, value::ReadingValue};

    fn limits(value: &str) -> Limits {
        let text = |column| TextLimit {
            column,
            kind: "character varying(5)".to_owned(),
            characters: 5,
        };
        Limits {
            meter_external_id: text("meter_external_id"),
            data_point: text("data_point"),
            unit: text("unit"),
            value: number_limit(value.to_owned()),
        }
    }

    fn reading(meter: &str, value: &str) -> Reading {
        Reading {
            meter_external_id: meter.into(),
            timestamp: Timestamp::parse_stored("2026-01-01 00:00:00").expect("a time"),
            data_point: "power".into(),
            value: ReadingValue::parse(value).expect("a number"),
            unit: None,
        }
    }

    #[test]
    fn what_would_be_changed_is_refused_in_words() {
        for (kind, value, fits) in [
            ("numeric(15,3)", "1.125", true),
            ("numeric(15,3)", "1.1250000", true),
            ("numeric(15,3)", "0.0001", false),
            ("numeric(12,2)", "1.125", false),
            ("numeric(3,-2)", "12300", true),
            ("numeric(3,-2)", "12340", false),
            ("numeric(5)", "1.5", false),
            ("numeric", "1e300", true),
            ("numeric", "1e-300", true),
        ] {
            let checked = limits(kind).check(&reading("M-1", value));
            assert_eq!(checked.is_ok(), fits, "{kind} {value} {checked:?}");
        }
        for (meter, words) in [("M-1234", "6 characters"), ("M\0", "NUL"), ("M-1   ", "6 ")] {
            let refused = limits("numeric").check(&reading(meter, "1"));
            assert!(refused.expect_err(meter).contains(words));
        }
        assert!(limits("numeric").check(&reading("MÄÄÄÄ", "1")).is_ok());
    }
}
