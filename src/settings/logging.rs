//! How much is logged, and in which form.

use tracing_subscriber::EnvFilter;

use super::reader::Reader;

const LEVEL_ALLOWED: &str =
    "error, warn, info, debug, trace or off, or a filter such as info,meterit_sync=debug";
const FORMAT_ALLOWED: &str = "json or readable";
const LEVELS: [&str; 6] = ["error", "warn", "info", "debug", "trace", "off"];

/// How much is logged, and in which form.
#[derive(Clone, Debug)]
pub struct LoggingSettings {
    /// A level or a filter directive that `tracing_subscriber::EnvFilter` accepts.
    pub filter: String,
    /// The form of each line.
    pub format: LogFormat,
}

/// The form of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object per line, for machines.
    Json,
    /// Aligned text, for people.
    Readable,
}

impl LoggingSettings {
    pub(super) fn read(reader: &mut Reader) -> Option<Self> {
        let filter = reader.text("log_level", LEVEL_ALLOWED, filter);
        if let Some(filter) = &filter {
            reader.show_given("log_level", filter.clone());
        }
        let format = reader.text("log_format", FORMAT_ALLOWED, format);
        if let Some((_, name)) = &format {
            reader.show_given("log_format", (*name).to_owned());
        }
        Some(Self {
            filter: filter?,
            format: format?.0,
        })
    }
}

fn filter(text: &str) -> Result<String, String> {
    if let Some(word) = stray_word(text) {
        return Err(format!("`{word}` is no level"));
    }
    EnvFilter::try_new(text).map_err(|error| error.to_string())?;
    Ok(text.to_owned())
}

/// The filter would take a misspelt level for the name of a module, and log nothing at all.
fn stray_word(text: &str) -> Option<&str> {
    if text.contains('[') {
        return None;
    }
    text.split(',')
        .map(str::trim)
        .find(|part| !part.contains('=') && !is_level(part))
}

fn is_level(word: &str) -> bool {
    LEVELS.iter().any(|level| level.eq_ignore_ascii_case(word))
}

fn format(text: &str) -> Result<(LogFormat, &'static str), String> {
    match text.to_ascii_lowercase().as_str() {
        "json" => Ok((LogFormat::Json, "json")),
        "readable" => Ok((LogFormat::Readable, "readable")),
        _ => Err(String::new()),
    }
}
