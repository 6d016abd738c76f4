//! What can be wrong with the settings, in words for the person who has to correct them.

use std::fmt;

use super::keys;
use super::layers::Layer;

/// One thing that is wrong with the settings. Its text never contains a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The name under which the person set it: upper case for the environment, lower case for files.
    pub key: String,
    /// Where the value came from; none when it is missing everywhere or when the layer itself is at fault.
    pub layer: Option<Layer>,
    /// What is wrong and what is allowed.
    pub what: String,
    unknown_key: bool,
    is_missing: bool,
}

impl Problem {
    pub(super) fn with_value(name: &str, layer: &Layer, what: String) -> Self {
        Self {
            key: layer.spelling(name),
            layer: Some(layer.clone()),
            what,
            unknown_key: false,
            is_missing: false,
        }
    }

    pub(super) fn missing(name: &str, allowed: &str) -> Self {
        let key = name.to_ascii_uppercase();
        let what = format!(
            "missing, no layer sets it; allowed is {allowed}; set {key} in the environment or `{name}` in a settings file"
        );
        Self {
            key,
            layer: None,
            what,
            unknown_key: false,
            is_missing: true,
        }
    }

    pub(super) fn unknown_key(name: &str, layer: &Layer) -> Self {
        let lower = name.to_ascii_lowercase();
        let what = if keys::known(&lower).is_some() {
            format!("is not a known key; in a settings file it is written `{lower}`")
        } else {
            "is not a known key; correct its name or remove it".to_owned()
        };
        Self {
            key: name.to_owned(),
            layer: Some(layer.clone()),
            what,
            unknown_key: true,
            is_missing: false,
        }
    }

    /// A layer that cannot be read at all; `subject` is how the person named it.
    pub(super) fn layer(subject: String, what: String) -> Self {
        Self {
            key: subject,
            layer: None,
            what,
            unknown_key: false,
            is_missing: false,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.layer {
            Some(layer) => write!(f, "{} ({layer}): {}", self.key, self.what),
            None => write!(f, "{}: {}", self.key, self.what),
        }
    }
}

/// The settings cannot be used. Lists every problem, not only the first; whoever meets it exits with code 2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingsError {
    /// All problems, at least one.
    pub problems: Vec<Problem>,
}

impl SettingsError {
    /// Whether no layer sets this key, in capitals, though it has to be set.
    pub fn misses(&self, key: &str) -> bool {
        let mut problems = self.problems.iter();
        problems.any(|problem| problem.is_missing && problem.key == key)
    }
}

impl std::error::Error for SettingsError {}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "the settings cannot be used:")?;
        for problem in &self.problems {
            writeln!(f, "  - {problem}")?;
        }
        if self.problems.iter().any(|problem| problem.unknown_key) {
            writeln!(f, "known keys are: {}", keys::KNOWN.join(", "))?;
        }
        write!(
            f,
            "correct them, then let `meterit-sync check-config` confirm it"
        )
    }
}
