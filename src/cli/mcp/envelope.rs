//! What of a message is of interest to its carrier.

use serde_json::Value;

/// Where a request of the later era says which version it speaks.
const VERSION_KEY: &str = "io.modelcontextprotocol/protocolVersion";
const CANCELLED: &str = "notifications/cancelled";

/// A message of the client.
#[derive(Debug, PartialEq)]
pub(super) enum Envelope {
    /// Has to be answered.
    Request {
        /// Names it in the answer.
        id: Value,
        /// What is asked.
        head: Head,
    },
    /// Is not answered.
    Notification(Head),
    /// The client does not wait any more.
    Cancellation {
        /// For which request.
        id: Value,
    },
}

/// What the headers of the HTTP request tell.
#[derive(Debug, PartialEq)]
pub(super) struct Head {
    pub(super) method: String,
    /// The tool, the prompt or the resource, where one is named.
    pub(super) name: Option<String>,
    /// The version that the message itself states.
    pub(super) version: Option<String>,
}

impl Envelope {
    /// Reads a line.
    ///
    /// # Errors
    /// When it is no JSON, or no message.
    pub(super) fn parse(line: &str) -> Result<Self, Unreadable> {
        let message: Value = serde_json::from_str(line)
            .map_err(|error| Unreadable::new(-32_700, format!("the line is no JSON: {error}")))?;
        let Some(method) = message["method"].as_str() else {
            return Err(Unreadable::new(
                -32_600,
                "the line is no request or notification of JSON-RPC".to_owned(),
            ));
        };
        let parameters = &message["params"];
        if method == CANCELLED {
            return Ok(Self::Cancellation {
                id: parameters["requestId"].clone(),
            });
        }
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let head = Head {
            method: method.to_owned(),
            name: name_key(method).and_then(|key| text(&parameters[key])),
            version: text(&parameters["_meta"][VERSION_KEY]),
        };
        Ok(match &message["id"] {
            Value::Null => Self::Notification(head),
            id => Self::Request {
                id: id.clone(),
                head,
            },
        })
    }

    pub(super) fn head(&self) -> Option<&Head> {
        match self {
            Self::Request { head, .. } | Self::Notification(head) => Some(head),
            Self::Cancellation { .. } => None,
        }
    }

    pub(super) fn id(&self) -> Option<&Value> {
        match self {
            Self::Request { id, .. } => Some(id),
            Self::Notification(_) | Self::Cancellation { .. } => None,
        }
    }

    /// Names the request among those that are open; `1` and `"1"` are two.
    pub(super) fn key(&self) -> Option<String> {
        self.id().map(Value::to_string)
    }
}

fn name_key(method: &str) -> Option<&'static str> {
    match method {
        "tools/call" | "prompts/get" => Some("name"),
        "resources/read" | "resources/subscribe" | "resources/unsubscribe" => Some("uri"),
        "tasks/get" | "tasks/update" | "tasks/cancel" => Some("taskId"),
        _ => None,
    }
}

/// A line that is no message.
#[derive(Debug, PartialEq)]
pub(super) struct Unreadable {
    /// JSON-RPC's number for it.
    pub(super) code: i32,
    /// What is wrong.
    pub(super) words: String,
}

impl Unreadable {
    fn new(code: i32, words: String) -> Self {
        Self { code, words }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_of_both_eras_are_read() {
        let early = r#"{"jsonrpc":"2.0","id":"1","method":"tools/call","params":{"name":"stop_sync","_meta":{"progressToken":7}}}"#;
        let envelope = Envelope::parse(early).expect("a message");
        assert_eq!(envelope.key().as_deref(), Some("\"1\""));
        let head = envelope.head().expect("a head");
        assert_eq!(head.name.as_deref(), Some("stop_sync"));
        assert_eq!(head.version, None);

        let late = r#"{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"meterit://log","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}"#;
        let envelope = Envelope::parse(late).expect("a message");
        assert_eq!(envelope.key().as_deref(), Some("1"));
        let head = envelope.head().expect("a head");
        assert_eq!(head.name.as_deref(), Some("meterit://log"));
        assert_eq!(head.version.as_deref(), Some("2026-07-28"));
    }

    #[test]
    fn what_wants_no_answer_is_told_from_what_does() {
        let parse = |line| Envelope::parse(line).expect("a message");
        let initialized = parse(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
        assert_eq!(initialized.id(), None);
        let cancelled = parse(
            r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":3}}"#,
        );
        assert_eq!(cancelled, Envelope::Cancellation { id: 3.into() });
    }

    #[test]
    fn other_lines_are_refused() {
        let code = |line| Envelope::parse(line).expect_err("no message").code;
        assert_eq!(code("nonsense"), -32_700);
        assert_eq!(code("[]"), -32_600);
        assert_eq!(code(r#"{"jsonrpc":"2.0","id":1,"result":{}}"#), -32_600);
    }
}
