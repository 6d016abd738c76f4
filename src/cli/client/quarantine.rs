//! `quarantine`: readings that were set aside; looking at them and correcting them.

use std::path::PathBuf;

use clap::{
    Args, Subcommand,
    builder::{PossibleValuesParser, TypedValueParser},
};

use super::{
    Asking,
    failure::Failure,
    quarantine_actions::{DiscardArguments, RequeueArguments, discard, requeue},
    records::WindowArguments,
    service::{Request, document},
    text::{facts, one_line, or_nothing, shortened, word},
};
use crate::{
    cli::exit::Exit,
    domain::{
        quarantine::{QuarantineCorrection, QuarantineReason, QuarantinedReading},
        timestamp::Timestamp,
        value::ReadingValue,
    },
};

pub(super) const PATH: &str = "/api/v1/quarantine";
/// The server's words in a list; `show` has all of them.
const LONGEST_WORDS: usize = 60;

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum QuarantineCommand {
    /// List what is in quarantine, newest first
    ///
    /// Readings that the Client System refuses, that cannot be sent, or of which nobody can tell whether it has them;
    /// newest first. They hold up no others, and stay until they are re-queued or discarded.
    List(ListArguments),
    /// Show one entry with all that is known of it
    Show(ShowArguments),
    /// Change fields of a reading in quarantine
    ///
    /// Changes the fields that are given and leaves the others as they are; `quarantine requeue` uploads it then. Leaves an
    /// audit row.
    Correct(CorrectArguments),
    /// Return readings to the queue, to be uploaded again
    ///
    /// Returns one reading, or all that the filters choose, to the queue. Over filters, readings are passed over, and
    /// counted, that still cannot be sent, and those in quarantine as possibly_stored unless --accept-double is given.
    /// Leaves audit rows.
    Requeue(RequeueArguments),
    /// Remove readings for good
    ///
    /// Removes one reading, or all that the filters choose: they are not uploaded, and only the audit rows tell of them.
    /// Asks on a terminal; elsewhere it needs --yes.
    Discard(DiscardArguments),
}

#[derive(Debug, Args)]
pub(in crate::cli) struct ListArguments {
    /// Only those that are there for this reason
    #[arg(long, value_parser = reasons())]
    reason: Option<QuarantineReason>,
    /// Only those of this meter
    #[arg(long)]
    meter: Option<String>,
    #[command(flatten)]
    window: WindowArguments,
    #[command(flatten)]
    asking: Asking,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct ShowArguments {
    /// The entry's id, as `quarantine list` shows it
    id: i64,
    #[command(flatten)]
    asking: Asking,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct CorrectArguments {
    /// The entry's id, as `quarantine list` shows it
    id: i64,
    #[command(flatten)]
    fields: Fields,
    #[command(flatten)]
    asking: Asking,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
struct Fields {
    /// The meter, by the Client System's name for it
    #[arg(long)]
    meter: Option<String>,
    /// When it was measured, such as 2026-01-01T00:00:00Z
    #[arg(long, value_name = "TIME", value_parser = zoned)]
    timestamp: Option<Timestamp>,
    /// What was measured
    #[arg(long)]
    data_point: Option<String>,
    /// The value, a decimal such as 1234.567
    #[arg(long, allow_hyphen_values = true, value_name = "NUMBER", value_parser = number)]
    value: Option<ReadingValue>,
    /// The unit
    #[arg(long)]
    unit: Option<String>,
    /// Remove the unit
    #[arg(long, conflicts_with = "unit")]
    no_unit: bool,
}

/// The names of the reasons.
pub(super) fn reasons() -> impl TypedValueParser<Value = QuarantineReason> {
    PossibleValuesParser::new(["refused", "unreadable", "possibly_stored"])
        .try_map(|text| QuarantineReason::parse(&text).ok_or("no such reason"))
}

fn zoned(text: &str) -> Result<Timestamp, &'static str> {
    Timestamp::parse_zoned(text)
        .ok_or("a time with a zone is expected, such as 2026-01-01T00:00:00Z")
}

fn number(text: &str) -> Result<ReadingValue, &'static str> {
    ReadingValue::parse(text).ok_or("a decimal is expected, such as 1234.567")
}

pub(super) async fn run(
    command: QuarantineCommand,
    config_file: Option<PathBuf>,
) -> Result<Exit, Failure> {
    match command {
        QuarantineCommand::List(arguments) => list(&arguments, config_file).await,
        QuarantineCommand::Show(arguments) => {
            let request = Request::get(format!("{PATH}/{}", arguments.id)).of_database();
            arguments.asking.show(config_file, request, entry).await
        }
        QuarantineCommand::Correct(arguments) => correct(arguments, config_file).await,
        QuarantineCommand::Requeue(arguments) => requeue(&arguments, config_file).await,
        QuarantineCommand::Discard(arguments) => discard(&arguments, config_file).await,
    }
}

async fn list(arguments: &ListArguments, config_file: Option<PathBuf>) -> Result<Exit, Failure> {
    let window = &arguments.window;
    let request = Request::get(PATH)
        .with_any("reason", arguments.reason.map(QuarantineReason::as_str))
        .with_any("meter", arguments.meter.as_deref());
    let heading = [
        "id",
        "set aside",
        "reason",
        "meter",
        "measured",
        "data point",
        "value",
        "message",
    ];
    let asking = &arguments.asking;
    asking
        .show(config_file, window.of(request), |page| {
            window.page(page, &heading, row)
        })
        .await
}

async fn correct(
    arguments: CorrectArguments,
    config_file: Option<PathBuf>,
) -> Result<Exit, Failure> {
    let path = format!("{PATH}/{}", arguments.id);
    let request = Request::patch(path, document(&correction(arguments.fields))?).of_database();
    arguments.asking.show(config_file, request, entry).await
}

fn correction(fields: Fields) -> QuarantineCorrection {
    let unit = match (fields.unit, fields.no_unit) {
        (Some(unit), _) => Some(Some(unit)),
        (None, true) => Some(None),
        (None, false) => None,
    };
    QuarantineCorrection {
        meter_external_id: fields.meter,
        timestamp: fields.timestamp,
        data_point: fields.data_point,
        value: fields.value.map(|value| value.to_string()),
        unit,
    }
}

fn row(entry: &QuarantinedReading) -> Vec<String> {
    vec![
        entry.id.to_string(),
        entry.quarantined_at.to_string(),
        word(&entry.reason),
        or_nothing(entry.meter_external_id.as_deref()),
        or_nothing(entry.timestamp.as_deref()),
        or_nothing(entry.data_point.as_deref()),
        or_nothing(entry.value.as_deref()),
        shortened(&entry.message, LONGEST_WORDS),
    ]
}

fn entry(entry: &QuarantinedReading) -> String {
    facts(&[
        ("id", entry.id.to_string()),
        ("set aside", entry.quarantined_at.to_string()),
        ("reason", word(&entry.reason)),
        ("message", one_line(&entry.message)),
        ("HTTP status", or_nothing(entry.status)),
        ("meter", or_nothing(entry.meter_external_id.as_deref())),
        ("measured", or_nothing(entry.timestamp.as_deref())),
        ("data point", or_nothing(entry.data_point.as_deref())),
        ("value", or_nothing(entry.value.as_deref())),
        ("unit", or_nothing(entry.unit.as_deref())),
        ("reading id", entry.reading_id.to_string()),
        ("batch", or_nothing(entry.idempotency_key.as_deref())),
    ])
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    #[test]
    fn an_entry_is_told_whole_and_in_a_list_shortly() {
        let reading = QuarantinedReading {
            id: 7,
            reading_id: 1_500,
            meter_external_id: Some("M-1".to_owned()),
            timestamp: Some("soon".to_owned()),
            data_point: None,
            value: Some("1.5".to_owned()),
            unit: None,
            reason: QuarantineReason::PossiblyStored,
            status: Some(400),
            message: format!("no data\npoint{}", "!".repeat(100)),
            idempotency_key: Some("key".to_owned()),
            quarantined_at: Timestamp(DateTime::UNIX_EPOCH),
        };
        let cells = row(&reading);
        assert_eq!(cells[2..7], ["possibly_stored", "M-1", "soon", "–", "1.5"]);
        assert_eq!(cells[7].chars().count(), LONGEST_WORDS);
        let shown = entry(&reading);
        assert!(
            shown.contains(&format!(
                "\nmessage      no data point{}\n",
                "!".repeat(100)
            )),
            "{shown}"
        );
        assert!(shown.contains("\nHTTP status  400\n"), "{shown}");
    }

    #[test]
    fn a_correction_says_only_what_changes() {
        let nothing = || Fields {
            meter: None,
            timestamp: None,
            data_point: None,
            value: None,
            unit: None,
            no_unit: false,
        };
        let written = |fields| document(&correction(fields)).expect("json");
        let value = Fields {
            value: number("-12.340").ok(),
            ..nothing()
        };
        assert_eq!(written(value), r#"{"value":-12.340}"#);
        let unit = Fields {
            no_unit: true,
            timestamp: zoned("2026-01-01T01:00:00+01:00").ok(),
            ..nothing()
        };
        assert_eq!(
            written(unit),
            r#"{"timestamp":"2026-01-01T00:00:00.000Z","unit":null}"#
        );
        assert!(number("1,5").is_err() && zoned("2026-01-01T00:00:00").is_err());
    }
}
