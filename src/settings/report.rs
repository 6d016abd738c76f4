//! The effective settings as a person may see them: value, origin, secrets redacted.

use std::fmt;

use super::layers::Layer;
use crate::domain::answer::{EffectiveSetting, EffectiveSettings};

pub(super) const REDACTED: &str = "<redacted>";

/// The effective settings with their origins. Contains no secret.
#[derive(Clone, Debug)]
pub struct Report {
    /// The name of the environment whose settings were read; none when no environment was asked.
    pub environment: Option<String>,
    /// One row per effective key, by section.
    pub rows: Vec<ReportRow>,
    /// What was given and is not as it should be, though nothing keeps the service from starting, in words for the operator.
    pub warnings: Vec<String>,
}

/// One effective setting.
#[derive(Clone, Debug)]
pub struct ReportRow {
    /// The key as written in a settings file.
    pub key: &'static str,
    /// The value in the unit of the key; secrets are replaced.
    pub value: String,
    /// The layer that had the last word.
    pub layer: Layer,
}

impl Report {
    /// The row of a key; none when the key is optional and not set.
    pub fn row(&self, key: &str) -> Option<&ReportRow> {
        self.rows.iter().find(|row| row.key == key)
    }
}

impl From<&Report> for EffectiveSettings {
    fn from(report: &Report) -> Self {
        let setting = |row: &ReportRow| EffectiveSetting {
            key: row.key.to_owned(),
            value: row.value.clone(),
            from: row.layer.to_string(),
        };
        Self {
            environment: report.environment.clone(),
            settings: report.rows.iter().map(setting).collect(),
            warnings: report.warnings.clone(),
        }
    }
}

/// An aligned table: key, value, origin; one line each, with a heading.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(environment) = &self.environment {
            writeln!(f, "environment: {environment}\n")?;
        }
        let key_width = widest(self.rows.iter().map(|row| row.key), "key");
        let value_width = widest(self.rows.iter().map(|row| row.value.as_str()), "value");
        writeln!(f, "{:key_width$}  {:value_width$}  from", "key", "value")?;
        for row in &self.rows {
            writeln!(
                f,
                "{:key_width$}  {:value_width$}  {}",
                row.key, row.value, row.layer
            )?;
        }
        Ok(())
    }
}

fn widest<'a>(cells: impl Iterator<Item = &'a str>, heading: &str) -> usize {
    cells
        .map(|cell| cell.chars().count())
        .fold(heading.len(), usize::max)
}
