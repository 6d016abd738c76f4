//! Tests of the tools against scripted actors, and of the transport without a socket.

mod calls;
mod descriptions;
mod requests;

use rmcp::model::{CallToolResult, JsonObject};
use serde_json::Value;

use super::{toolbox::Caller, tools};
use crate::control::Control;

/// Calls a tool as a client that does not ask for progress.
async fn call(control: Control, name: &str, arguments: Value) -> CallToolResult {
    let Value::Object(arguments) = arguments else {
        panic!("arguments are an object")
    };
    tools::all()
        .call(name, control, arguments, Caller::new(None))
        .expect("there is such a tool")
        .await
}

/// The structure of a good answer, which its text has to repeat.
#[track_caller]
fn answer(result: &CallToolResult) -> &Value {
    assert_eq!(result.is_error, Some(false), "{result:?}");
    let structure = result.structured_content.as_ref().expect("a structure");
    assert_eq!(*structure, text(result));
    structure
}

/// The problem in an answer that is an error.
#[track_caller]
fn problem(result: &CallToolResult, name: &str) -> Value {
    assert_eq!(result.is_error, Some(true), "{result:?}");
    assert_eq!(result.structured_content, None);
    let problem = text(result);
    assert_eq!(problem["type"], format!("urn:meterit-sync:problem:{name}"));
    assert!(!problem["title"].as_str().unwrap().is_empty());
    assert!(!problem["detail"].as_str().unwrap().is_empty());
    problem
}

fn text(result: &CallToolResult) -> Value {
    let text = result.content[0].as_text().expect("a text");
    serde_json::from_str(&text.text).expect("JSON")
}

fn schema_of<'a>(schema: &'a JsonObject, path: &str) -> &'a Value {
    path.split('/')
        .skip(1)
        .fold(None, |found: Option<&Value>, step| match found {
            None => schema.get(step),
            Some(found) => found.get(step),
        })
        .unwrap_or_else(|| panic!("{path} is missing in {schema:?}"))
}
