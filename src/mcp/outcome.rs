//! How a tool's end is told: its answer as structure and text, a refusal in the words that HTTP has for it.

use rmcp::model::{CallToolResult, ContentBlock};
use serde::Serialize;
use serde_json::json;

use crate::{control::ControlError, domain::pass::PassReport};

/// A refusal as a problem in the sense of RFC 9457, without what belongs to HTTP alone.
#[derive(Serialize)]
struct Problem<'a> {
    #[serde(rename = "type")]
    kind: String,
    title: &'static str,
    detail: String,
    /// Whole seconds after which asking again may help.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_s: Option<u64>,
    /// The pass that ended before the queue was empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    report: Option<&'a PassReport>,
}

pub(super) fn told<R: Serialize>(outcome: Result<R, ControlError>) -> CallToolResult {
    let answer = match outcome {
        Ok(answer) => serde_json::to_value(answer),
        Err(refusal) => return refused(&refusal),
    };
    match answer {
        Ok(answer) => CallToolResult::structured(answer),
        Err(error) => refused(&ControlError::Unavailable(format!(
            "the answer cannot be written as JSON: {error}; readings are not affected"
        ))),
    }
}

/// A text only: some clients hold structured content against the tool's output schema also where it is an error.
pub(super) fn refused(refusal: &ControlError) -> CallToolResult {
    let kind = refusal.kind();
    let report = match refusal {
        ControlError::PassFailed { report, .. } => Some(&**report),
        _ => None,
    };
    let problem = Problem {
        kind: kind.urn(),
        title: kind.title(),
        detail: refusal.to_string(),
        retry_after_s: refusal
            .retry_after()
            .map(|wait| wait.as_secs_f64().ceil().max(1.0))
            .map(whole),
        report,
    };
    CallToolResult::error(vec![ContentBlock::text(json!(problem).to_string())])
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "whole, never negative seconds"
)]
fn whole(seconds: f64) -> u64 {
    seconds as u64
}
