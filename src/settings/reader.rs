//! Turns layered raw values into typed ones, and collects problems and report rows on the way.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::SettingsError;
use super::keys;
use super::layers::{Given, Layer, Layers, Raw};
use super::problem::Problem;
use super::report::{REDACTED, Report, ReportRow};

/// Hands values to the sections. A method that returns `None` has noted why.
pub(super) struct Reader {
    layers: Layers,
    rows: Vec<ReportRow>,
}

impl Reader {
    pub fn new(layers: Layers) -> Self {
        Self {
            layers,
            rows: Vec::new(),
        }
    }

    /// The report, or all problems that were met.
    pub fn finish(self, environment: Option<String>) -> Result<Report, SettingsError> {
        if self.layers.problems.is_empty() {
            Ok(Report {
                environment,
                rows: self.rows,
                warnings: self.layers.warnings,
            })
        } else {
            Err(SettingsError {
                problems: self.layers.problems,
            })
        }
    }

    pub fn given(&self, name: &str) -> Option<&Given> {
        self.layers.values.get(name)
    }

    /// Whether any layer above the built-in defaults sets this key.
    pub fn is_set_by_operator(&self, name: &str) -> bool {
        self.given(name)
            .is_some_and(|given| given.layer != Layer::Defaults)
    }

    /// A whole number of `unit` (such as `minutes`; empty for a plain count) within `range`.
    pub fn whole_number(
        &mut self,
        name: &'static str,
        unit: &str,
        range: RangeInclusive<u32>,
    ) -> Option<u32> {
        let of_unit = if unit.is_empty() {
            String::new()
        } else {
            format!(" of {unit}")
        };
        let allowed = format!(
            "a whole number{of_unit} from {} to {}",
            range.start(),
            range.end()
        );
        let given = self.require(name, &allowed)?;
        let number = match &given.raw {
            Raw::Integer(number) => u32::try_from(*number).ok(),
            Raw::Untyped(text) => text.trim().parse().ok(),
            _ => None,
        };
        match number.filter(|number| range.contains(number)) {
            Some(number) => {
                self.show(name, number.to_string(), given.layer);
                Some(number)
            }
            None => self.refuse(name, "", &allowed),
        }
    }

    /// A time in milliseconds.
    pub fn milliseconds(
        &mut self,
        name: &'static str,
        range: RangeInclusive<u32>,
    ) -> Option<Duration> {
        let count = self.whole_number(name, "milliseconds", range)?;
        Some(Duration::from_millis(count.into()))
    }

    /// A time in minutes.
    pub fn minutes(&mut self, name: &'static str, range: RangeInclusive<u32>) -> Option<Duration> {
        let count = self.whole_number(name, "minutes", range)?;
        Some(Duration::from_secs(u64::from(count) * 60))
    }

    pub fn boolean(&mut self, name: &'static str) -> Option<bool> {
        let allowed = "true or false";
        let given = self.require(name, allowed)?;
        let value = match &given.raw {
            Raw::Boolean(value) => Some(*value),
            Raw::Untyped(text) => boolean_word(text),
            _ => None,
        };
        match value {
            Some(value) => {
                self.show(name, value.to_string(), given.layer);
                Some(value)
            }
            None => self.refuse(name, "", allowed),
        }
    }

    /// Text that `parse` understands; its error says why not, in words that follow a colon (or is empty).
    /// The row for the report is left to the caller, who knows what may be shown.
    pub fn text<T>(
        &mut self,
        name: &'static str,
        allowed: &str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let given = self.require(name, allowed)?;
        let parsed = match &given.raw {
            Raw::Untyped(text) | Raw::Text(text) if text.trim().is_empty() => {
                Err("it is empty".to_owned())
            }
            Raw::Untyped(text) | Raw::Text(text) => parse(text.trim()),
            _ => Err(String::new()),
        };
        match parsed {
            Ok(value) => Some(value),
            Err(reason) => self.refuse(name, &reason, allowed),
        }
    }

    /// Adds a row to the report, with the layer that set `name`.
    pub fn show_given(&mut self, name: &'static str, value: String) {
        if let Some(layer) = self.given(name).map(|given| given.layer.clone()) {
            self.show(name, value, layer);
        }
    }

    /// Adds a row to the report. Secrets are redacted here, whatever the caller passes.
    pub fn show(&mut self, name: &'static str, value: String, layer: Layer) {
        let value = if keys::is_secret(name) {
            REDACTED.to_owned()
        } else {
            value
        };
        self.rows.push(ReportRow {
            key: name,
            value,
            layer,
        });
    }

    pub fn warn(&mut self, warning: String) {
        self.layers.warnings.push(warning);
    }

    /// Notes that the value of `name` is not acceptable.
    pub fn refuse<T>(&mut self, name: &str, reason: &str, allowed: &str) -> Option<T> {
        let problem = match self.given(name) {
            None => Problem::missing(name, allowed),
            Some(given) => {
                let shown = shown(name, &given.raw);
                let because = if reason.is_empty() {
                    String::new()
                } else {
                    format!(": {reason}")
                };
                let what = format!("given {shown}{because}; allowed is {allowed}");
                Problem::with_value(name, &given.layer, what)
            }
        };
        self.layers.problems.push(problem);
        None
    }

    fn require(&mut self, name: &'static str, allowed: &str) -> Option<Given> {
        let given = self.given(name).cloned();
        // It may well be in a layer that could not be read: calling it missing would mislead.
        if given.is_none() && !self.layers.incomplete {
            self.layers.problems.push(Problem::missing(name, allowed));
        }
        given
    }
}

fn boolean_word(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Some(true),
        "false" | "0" | "no" | "off" => Some(false),
        _ => None,
    }
}

fn shown(name: &str, raw: &Raw) -> String {
    if keys::is_secret_when_wrong(name) {
        return "a value that is not shown".to_owned();
    }
    match raw {
        Raw::Untyped(text) => format!("`{}`", super::url::masked(text)),
        Raw::Text(text) => format!("the text `{}`", super::url::masked(text)),
        Raw::Integer(number) => format!("the number `{number}`"),
        Raw::Boolean(value) => format!("`{value}`"),
        Raw::Other(kind) => (*kind).to_owned(),
    }
}
