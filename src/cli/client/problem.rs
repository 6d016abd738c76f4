//! What the service says when it refuses: problem+json as a client reads it.

use std::fmt::Write;

use serde::Deserialize;

use super::text::one_line;

/// All types of problems that this service tells begin so.
const TYPES: &str = "urn:meterit-sync:problem:";

/// A refusal. Reads what the service's `http` room writes, as far as people are told about it.
#[derive(Debug, Deserialize)]
pub(in crate::cli) struct Problem {
    #[serde(rename = "type")]
    kind: String,
    title: String,
    detail: String,
    #[serde(default)]
    errors: Vec<ReadingError>,
    #[serde(default)]
    more_errors: u64,
}

#[derive(Debug, Deserialize)]
struct ReadingError {
    index: usize,
    reason: String,
}

impl Problem {
    /// Reads the body of a refusal; none where it is not this service's.
    pub(super) fn read(body: &str) -> Option<Self> {
        serde_json::from_str(body)
            .ok()
            .filter(|problem: &Self| problem.kind.starts_with(TYPES))
    }

    /// Title and detail in a line, and a line for each reading that is named.
    pub(super) fn words(&self) -> String {
        let mut words = format!("{}: {}", one_line(&self.title), one_line(&self.detail));
        for error in &self.errors {
            // Writing to a String cannot fail.
            let _ = write!(
                words,
                "\n  reading {}: {}",
                error.index,
                one_line(&error.reason)
            );
        }
        if self.more_errors > 0 {
            let _ = write!(words, "\n  and {} more", self.more_errors);
        }
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_told_with_the_readings_that_they_name() {
        let problem = Problem::read(
            r#"{"type":"urn:meterit-sync:problem:invalid-readings","title":"Some readings are not valid","status":400,
                "detail":"2 of the readings are not valid","errors":[{"index":4,"reason":"value: too\nlarge"}],"more_errors":1}"#,
        )
        .expect("a problem");
        assert_eq!(
            problem.words(),
            "Some readings are not valid: 2 of the readings are not valid\n  reading 4: value: too large\n  and 1 more"
        );
    }

    #[test]
    fn what_others_say_is_no_refusal_of_the_service() {
        for body in [
            "",
            "<html>",
            r#"{"error":"no"}"#,
            r#"{"type":"about:blank","title":"Not Found","detail":"no"}"#,
        ] {
            assert!(Problem::read(body).is_none(), "{body}");
        }
    }
}
