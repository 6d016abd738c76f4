//! What somebody found out who looked after a site.

use std::fmt;

use serde::Serialize;

/// Something that a person should know, in three sentences without capital and full stop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What is wrong.
    pub what: String,
    /// What it means.
    pub means: String,
    /// What to do.
    pub remedy: String,
}

impl Finding {
    /// From its sentences.
    pub fn new(
        what: impl Into<String>,
        means: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            what: what.into(),
            means: means.into(),
            remedy: remedy.into(),
        }
    }
}

/// Three lines.
impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "What is wrong: {}.", self.what)?;
        writeln!(formatter, "What it means: {}.", self.means)?;
        writeln!(formatter, "What to do:    {}.", self.remedy)
    }
}
