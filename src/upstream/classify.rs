//! What an answer to an upload means. When in doubt the readings are kept: to take a reading for stored that
//! the Client System does not have is the one unforgivable fault.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Value, value::RawValue};

use super::{
    answer::{Answer, LONGEST_WORDS, cut},
    fields::{Fields, value},
};
use crate::domain::outcome::{RejectedReading, UploadOutcome};

/// What is known about a sending besides the answer to it.
#[derive(Clone, Copy, Debug)]
pub struct Sending<'a> {
    /// The meter of every reading in the body, in order.
    pub meters: &'a [String],
    /// Whether the same key may have reached the server before.
    pub repeated: bool,
    /// Whether the server is known to keep the other rows of a request when one fails in its database.
    pub keeps_rows_on_failure: Option<bool>,
}

/// The class of a complete answer.
pub fn classify_upload(answer: &Answer, sending: &Sending<'_>) -> UploadOutcome {
    let words = answer.words();
    let status = answer.status;
    match status {
        200..=299 => classify_success(answer, sending),
        400 => refused(answer, sending),
        422 if is_about_the_key(&words) => UploadOutcome::KeyRefused(words),
        422 => refused(answer, sending),
        401 | 403 => UploadOutcome::Unauthorized { status, words },
        413 => UploadOutcome::TooLarge(words),
        415 => UploadOutcome::EncodingRefused,
        429 => UploadOutcome::RateLimited {
            status,
            retry_after: answer.retry_after,
        },
        503 if answer.retry_after.is_some() => UploadOutcome::RateLimited {
            status,
            retry_after: answer.retry_after,
        },
        408 | 409 | 425 | 500..=599 => UploadOutcome::ServerFault { status, words },
        _ => UploadOutcome::Misconfigured { status, words },
    }
}

/// Whether an answer says without more that the server stored all of so many readings, which is what nearly all answers
/// say: then nobody has to know which readings these are.
pub fn says_all_stored(answer: &Answer, length: usize) -> bool {
    answer.is_success()
        && Success::parse(answer, length).is_some_and(|success| success.is_whole(length))
}

/// How the server treats the other rows of a request when one fails in its database, as far as this answer
/// shows: `Some(false)` when it gives up the whole request, `Some(true)` when it keeps the others.
pub fn row_failure_mode(answer: &Answer, sending: &Sending<'_>) -> Option<bool> {
    let success = Success::parse(answer, sending.meters.len())?;
    if success.transaction_aborted {
        return Some(false);
    }
    // Only a failure with a reading behind it that did not fail shows what becomes of those.
    let named_before_the_end = success.errors.iter().any(|(meter, _)| {
        let last = sending.meters.len().checked_sub(1);
        meter
            .as_deref()
            .and_then(|meter| sending.meters.iter().rposition(|name| name == meter))
            .is_some_and(|at| Some(at) != last)
    });
    let others_were_stored = success.skipped > 0 && success.inserted.unwrap_or(0) > 0;
    let names_the_whole_end = first_of_the_end(&success, sending.meters).is_some();
    (others_were_stored && named_before_the_end && !names_the_whole_end).then_some(true)
}

fn is_about_the_key(words: &str) -> bool {
    words.to_ascii_lowercase().contains("idempotency")
}

fn refused(answer: &Answer, sending: &Sending<'_>) -> UploadOutcome {
    UploadOutcome::Refused {
        status: answer.status,
        named: named_by_index(answer, sending.meters.len()),
        words: answer.words(),
    }
}

/// The readings that a validation error names by index, such as `readings[2].unit`, each once, in order.
fn named_by_index(answer: &Answer, length: usize) -> Vec<RejectedReading> {
    let mut named = BTreeMap::new();
    let Some(fields) = Fields::read(&answer.body) else {
        return Vec::new();
    };
    fields.each_error(|error| {
        let Some(error) = value::<Value>(error) else {
            return;
        };
        let path = error
            .get("path")
            .or_else(|| error.get("param"))
            .and_then(Value::as_str)
            .unwrap_or_default();
        let Some(position) = index_in_path(path).filter(|position| *position < length) else {
            return;
        };
        let message = error
            .get("msg")
            .or_else(|| error.get("message"))
            .and_then(Value::as_str)
            .unwrap_or("invalid");
        let words = named.entry(position).or_insert_with(String::new);
        if words.len() < LONGEST_WORDS {
            let separator = if words.is_empty() { "" } else { "; " };
            *words = cut(&format!("{words}{separator}{path}: {message}"));
        }
    });
    let named = named.into_iter();
    named
        .map(|(position, words)| RejectedReading { position, words })
        .collect()
}

fn index_in_path(path: &str) -> Option<usize> {
    path.strip_prefix("readings[")?
        .split(']')
        .next()?
        .parse()
        .ok()
}

/// The parts of a 2xx answer that matter.
struct Success {
    success: Option<bool>,
    inserted: Option<u64>,
    skipped: u64,
    /// Meter, where one is named, and words; no more of them than it takes to see that they are too many.
    errors: Vec<(Option<String>, String)>,
    transaction_aborted: bool,
}

impl Success {
    /// Of an answer to a batch of so many readings. None where the body is no answer, or where a number in it is none:
    /// then nothing can be concluded.
    fn parse(answer: &Answer, length: usize) -> Option<Self> {
        let fields = Fields::read(&answer.body)?;
        let number = |field: Option<&RawValue>| match field {
            None => Some(None),
            Some(written) => value::<Option<u64>>(written),
        };
        let (mut errors, mut transaction_aborted) = (Vec::new(), false);
        fields.each_error(|error| {
            let entry = value::<Value>(error).unwrap_or_default();
            let text = ["error", "message", "msg"]
                .iter()
                .find_map(|field| entry.get(field)?.as_str());
            let words = text.unwrap_or_else(|| error.get());
            transaction_aborted |= words
                .to_ascii_lowercase()
                .contains("transaction is aborted");
            if errors.len() <= length {
                let meter = entry.get("meter_external_id").and_then(Value::as_str);
                errors.push((meter.map(ToOwned::to_owned), cut(words)));
            }
        });
        Some(Self {
            success: fields.success.and_then(value),
            inserted: number(fields.inserted)?,
            skipped: number(fields.skipped)?.unwrap_or(0),
            errors,
            transaction_aborted,
        })
    }

    fn is_whole(&self, length: usize) -> bool {
        self.success == Some(true)
            && self.skipped == 0
            && self
                .inserted
                .is_none_or(|inserted| inserted == length as u64)
            && !self.transaction_aborted
    }

    fn words(&self) -> String {
        self.errors
            .iter()
            .map(|(_, words)| words.as_str())
            .next()
            .unwrap_or("skipped without a reason")
            .to_owned()
    }
}

fn classify_success(answer: &Answer, sending: &Sending<'_>) -> UploadOutcome {
    let status = answer.status;
    let length = sending.meters.len();
    let Some(success) = Success::parse(answer, length) else {
        return UploadOutcome::Ambiguous {
            words: format!("a {status} whose body cannot be read: {}", answer.words()),
            timed_out: false,
        };
    };
    if success.transaction_aborted {
        return UploadOutcome::Refused {
            status,
            named: Vec::new(),
            words: success.words(),
        };
    }
    if success.is_whole(length) {
        return UploadOutcome::Stored;
    }
    if success.success != Some(true) && success.errors.is_empty() {
        return UploadOutcome::Ambiguous {
            words: format!("a {status} without success: {}", answer.words()),
            timed_out: false,
        };
    }
    if sending.repeated && success.inserted == Some(0) && success.errors.is_empty() {
        return UploadOutcome::Stored;
    }
    partial(&success, sending)
}

fn partial(success: &Success, sending: &Sending<'_>) -> UploadOutcome {
    if sending.keeps_rows_on_failure != Some(true)
        && let Some(first) = first_of_the_end(success, sending.meters)
        && let Some(outcome) = perhaps_given_up(success, sending, first)
    {
        return outcome;
    }
    match exactly_named(success, sending.meters) {
        Some(rejected) => UploadOutcome::PartlyStored { rejected },
        None => UploadOutcome::Doubtful {
            doubtful: possibly_meant(success, sending.meters),
        },
    }
}

/// Where the entries name the readings from one on to the end of the batch, and no others: that one. A server that gives up
/// the whole request when a row fails answers so, in whatever language, for every row behind that one fails too.
fn first_of_the_end(success: &Success, meters: &[String]) -> Option<usize> {
    let stored = meters.len().checked_sub(success.errors.len())?;
    let named = success.errors.iter().map(|(meter, _)| meter.as_deref());
    let is_the_end = success.skipped == success.errors.len() as u64
        && success.skipped > 0
        && success
            .inserted
            .is_none_or(|inserted| inserted == stored as u64)
        && named.eq(meters[stored..].iter().map(|meter| Some(meter.as_str())));
    is_the_end.then_some(stored)
}

/// What the naming of the whole end of a batch means where the server is not known to keep the other rows; none where it is
/// to be taken at its word. "The rest is stored" would lose the rest, and "nothing is stored" would double it.
fn perhaps_given_up(
    success: &Success,
    sending: &Sending<'_>,
    first: usize,
) -> Option<UploadOutcome> {
    let given_up = || UploadOutcome::Refused {
        status: 200,
        named: vec![RejectedReading {
            position: first,
            words: success.words(),
        }],
        words: success.words(),
    };
    let (reason, behind) = success.errors.split_first()?;
    if behind.is_empty() && first == 0 {
        return None;
    }
    if sending.keeps_rows_on_failure == Some(false) {
        return Some(given_up());
    }
    // A failed transaction says one thing of every later row, and another of the one that made it fail.
    let reads_like_it = behind
        .iter()
        .all(|(_, words)| *words == behind[0].1 && *words != reason.1);
    if !reads_like_it {
        return None;
    }
    // A bad reading or two at the end of a batch look the same.
    let proves_little = behind.len() <= 1 && first > 0;
    Some(if proves_little {
        in_doubt(success, sending)
    } else {
        given_up()
    })
}

fn in_doubt(success: &Success, sending: &Sending<'_>) -> UploadOutcome {
    UploadOutcome::Doubtful {
        doubtful: every_reading(success, sending.meters),
    }
}

/// The skipped readings where the entries leave no choice: every skipped row has its entry, and each named
/// meter is named as often as it occurs in the batch.
fn exactly_named(success: &Success, meters: &[String]) -> Option<Vec<RejectedReading>> {
    if success.skipped != success.errors.len() as u64 {
        return None;
    }
    if success
        .inserted
        .is_some_and(|inserted| inserted + success.skipped != meters.len() as u64)
    {
        return None;
    }
    let mut named: HashMap<&str, (usize, &str)> = HashMap::new();
    for (meter, words) in &success.errors {
        let entry = named.entry(meter.as_deref()?).or_insert((0, words));
        entry.0 += 1;
    }
    let occurrences = |name: &str| meters.iter().filter(|meter| *meter == name).count();
    if named
        .iter()
        .any(|(name, (times, _))| occurrences(name) != *times)
    {
        return None;
    }
    let rejected = meters.iter().enumerate().filter_map(|(position, meter)| {
        named.get(meter.as_str()).map(|(_, words)| RejectedReading {
            position,
            words: (*words).to_owned(),
        })
    });
    Some(rejected.collect())
}

/// The readings that an unclear partial answer may mean: those of the named meters when the entries account
/// for every skipped row, else all.
fn possibly_meant(success: &Success, meters: &[String]) -> Vec<RejectedReading> {
    let every_row_accounted = success.skipped <= success.errors.len() as u64
        && success
            .inserted
            .is_none_or(|inserted| inserted + success.skipped == meters.len() as u64)
        && success
            .errors
            .iter()
            .all(|(meter, _)| meter.as_ref().is_some_and(|meter| meters.contains(meter)));
    if success.skipped == 0 || !every_row_accounted {
        return every_reading(success, meters);
    }
    let named: HashMap<&str, &str> = success
        .errors
        .iter()
        .filter_map(|(meter, words)| Some((meter.as_deref()?, words.as_str())))
        .collect();
    let meant = meters.iter().enumerate().filter_map(|(position, meter)| {
        named.get(meter.as_str()).map(|words| RejectedReading {
            position,
            words: (*words).to_owned(),
        })
    });
    meant.collect()
}

fn every_reading(success: &Success, meters: &[String]) -> Vec<RejectedReading> {
    (0..meters.len())
        .map(|position| RejectedReading {
            position,
            words: success.words(),
        })
        .collect()
}

#[cfg(test)]
#[path = "classify_tests.rs"]
mod tests;
