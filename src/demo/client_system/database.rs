//! What the server's database does to a batch: which rows fail, and what then becomes of the others.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::reading::Reading;

const NUMERIC_OVERFLOW: &str = "numeric field overflow";

/// What one failing row does to its batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rollback {
    /// As deployed: the whole transaction is lost, whatever `inserted` says.
    #[default]
    Aborting,
    /// The same on a database that speaks German.
    AbortingInGerman,
    /// The later version: only the failing row is lost.
    Savepoint,
}

impl Rollback {
    /// What the database says of every row behind a failing one; none where these are stored.
    fn words_behind_a_failure(self) -> Option<&'static str> {
        match self {
            Self::Aborting => Some(
                "current transaction is aborted, commands ignored until end of transaction block",
            ),
            Self::AbortingInGerman => Some(
                "aktuelle Transaktion wurde abgebrochen, Befehle werden bis zum Ende der Transaktion ignoriert",
            ),
            Self::Savepoint => None,
        }
    }
}

/// What became of a batch.
#[derive(Debug, PartialEq)]
pub(super) struct Insertion {
    /// The count that the answer reports, which need not be the truth.
    pub inserted: usize,
    /// Meter and words for each skipped row.
    pub errors: Vec<(String, String)>,
    /// Indexes of the rows that really are stored.
    pub stored: Vec<usize>,
}

impl Insertion {
    /// The answer's body; `hide_errors` leaves the list of errors empty.
    pub fn to_json(&self, hide_errors: bool) -> Value {
        let entry =
            |(meter, error): &(String, String)| json!({"meter_external_id": meter, "error": error});
        let errors: Vec<Value> = if hide_errors {
            Vec::new()
        } else {
            self.errors.iter().map(entry).collect()
        };
        json!({
            "success": true,
            "message": format!("Processed {} readings", self.inserted + self.errors.len()),
            "inserted": self.inserted,
            "skipped": self.errors.len(),
            "errors": errors,
        })
    }
}

/// Runs the rows in one transaction; `failure` gives the database's words for a row that fails.
pub(super) fn insert(
    readings: &[Reading],
    rollback: Rollback,
    failure: impl Fn(usize, &Reading) -> Option<String>,
) -> Insertion {
    let mut errors = Vec::new();
    let mut stored = Vec::with_capacity(readings.len());
    for (row, reading) in readings.iter().enumerate() {
        let behind_a_failure = rollback.words_behind_a_failure();
        let error = match behind_a_failure.filter(|_| !errors.is_empty()) {
            Some(words) => Some(words.to_owned()),
            None => failure(row, reading),
        };
        match error {
            Some(error) => errors.push((reading.meter.clone(), error)),
            None => stored.push(row),
        }
    }
    let inserted = stored.len();
    if rollback.words_behind_a_failure().is_some() && !errors.is_empty() {
        stored.clear();
    }
    Insertion {
        inserted,
        errors,
        stored,
    }
}

/// The database's words for a reading that its columns cannot hold.
pub(super) fn column_failure(reading: &Reading) -> Option<String> {
    let too_long = |text: &str, limit: usize| text.chars().count() > limit;
    if too_long(&reading.meter, 255) {
        return Some("value too long for type character varying(255)".to_owned());
    }
    if too_long(&reading.data_point, 100) {
        return Some("value too long for type character varying(100)".to_owned());
    }
    if reading.meter.contains('\0') || reading.data_point.contains('\0') {
        return Some("invalid byte sequence for encoding \"UTF8\": 0x00".to_owned());
    }
    overflows(&reading.value).then(|| NUMERIC_OVERFLOW.to_owned())
}

/// The words for a scripted failure.
pub(super) fn scripted_failure(words: &str) -> String {
    if words.is_empty() {
        NUMERIC_OVERFLOW.to_owned()
    } else {
        words.to_owned()
    }
}

/// Whether a JSON number, rounded to three decimals, needs more than the twelve integer digits of
/// NUMERIC(15,3).
fn overflows(number: &str) -> bool {
    let unsigned = number.trim_start_matches('-');
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let significant = digits.trim_start_matches('0');
    if significant.is_empty() {
        return false;
    }
    let leading_zeros = digits.len() - significant.len();
    let point = whole.len() as i64 - leading_zeros as i64;
    // An exponent beyond i64 is as good as infinite, in the direction of its sign.
    let exponent = exponent
        .parse::<i64>()
        .unwrap_or(if exponent.starts_with('-') {
            i64::MIN
        } else {
            i64::MAX
        });
    let integer_digits = point.saturating_add(exponent);
    let rounds_up = significant.len() >= 16
        && significant.starts_with("999999999999999")
        && significant.as_bytes()[15] >= b'5';
    integer_digits > 12 || (integer_digits == 12 && rounds_up)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn readings(count: usize) -> Vec<Reading> {
        let reading = |row| Reading {
            meter: format!("M{row}"),
            timestamp: chrono::DateTime::UNIX_EPOCH,
            data_point: "energy".to_owned(),
            value: "1".to_owned(),
            unit: None,
        };
        (0..count).map(reading).collect()
    }

    fn failing(failing_row: usize) -> impl Fn(usize, &Reading) -> Option<String> {
        move |row, _| (row == failing_row).then(|| "broken".to_owned())
    }

    #[test]
    fn one_failing_row_aborts_the_deployed_version() {
        let insertion = insert(&readings(4), Rollback::Aborting, failing(1));
        assert_eq!((insertion.inserted, insertion.errors.len()), (1, 3));
        assert_eq!(insertion.errors[0], ("M1".to_owned(), "broken".to_owned()));
        let (meter, words) = &insertion.errors[2];
        assert_eq!(meter, "M3");
        assert!(words.starts_with("current transaction is aborted"));
        assert!(insertion.stored.is_empty());
    }

    #[test]
    fn a_failing_last_row_leaves_no_word_of_the_abort() {
        let insertion = insert(&readings(4), Rollback::Aborting, failing(3));
        assert_eq!((insertion.inserted, insertion.errors.len()), (3, 1));
        assert!(insertion.stored.is_empty());
    }

    #[test]
    fn a_savepoint_loses_only_the_failing_row() {
        let insertion = insert(&readings(4), Rollback::Savepoint, failing(1));
        assert_eq!((insertion.inserted, insertion.errors.len()), (3, 1));
        assert_eq!(insertion.stored, [0, 2, 3]);
    }

    #[test]
    fn a_value_overflows_as_in_the_column() {
        for fits in [
            "0",
            "-0.0001",
            "999999999999.9994",
            "-999999999999",
            "0.000001e17",
            "1e11",
            "00e99",
            "1e-400",
        ] {
            assert!(!overflows(fits), "{fits}");
        }
        for too_big in [
            "1000000000000",
            "-1e12",
            "999999999999.9995",
            "9999999999999995e-4",
            "1e400",
        ] {
            assert!(overflows(too_big), "{too_big}");
        }
    }
}
