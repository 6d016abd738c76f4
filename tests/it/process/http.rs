//! HTTP as a person with curl speaks it: one request, one connection, the whole answer.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use serde_json::Value;

use super::waiting::PATIENCE;

/// An answer whose body has arrived whole.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub body: String,
}

impl Answer {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body)
            .unwrap_or_else(|error| panic!("no JSON ({error}): {}", self.body))
    }

    /// The body as JSON, of an answer that must have this status.
    pub fn expect_status(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        if self.body.is_empty() {
            return Value::Null;
        }
        self.json()
    }
}

/// Sends a request to a port on this machine; a body goes as JSON.
pub fn request(port: u16, method: &str, path: &str, body: Option<&Value>) -> Answer {
    try_request(port, method, path, body)
        .unwrap_or_else(|error| panic!("{method} {path} on port {port}: {error}"))
}

/// As [`request`], without a body and with headers of its own.
pub fn request_with(port: u16, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    try_send(port, method, path, headers, "")
        .unwrap_or_else(|error| panic!("{method} {path} on port {port}: {error}"))
}

/// As [`request`], where nobody may be listening.
pub fn try_request(
    port: u16,
    method: &str,
    path: &str,
    body: Option<&Value>,
) -> std::io::Result<Answer> {
    let body = body.map(Value::to_string).unwrap_or_default();
    try_send(port, method, path, &[], &body)
}

fn try_send(
    port: u16,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> std::io::Result<Answer> {
    let mut connection = TcpStream::connect(("127.0.0.1", port))?;
    connection.set_read_timeout(Some(PATIENCE))?;
    let more: String = headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\
         Content-Type: application/json\r\n{more}Content-Length: {}\r\n\r\n",
        body.len()
    );
    connection.write_all((head + body).as_bytes())?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer)?;
    if answer.is_empty() {
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    }
    Ok(parse(&answer))
}

fn parse(answer: &str) -> Answer {
    let (head, body) = answer.split_once("\r\n\r\n").expect("a whole head");
    let status = head.split(' ').nth(1).expect("a status");
    let is_chunked = head
        .to_ascii_lowercase()
        .contains("transfer-encoding: chunked");
    assert!(!is_chunked, "only answers of a known length are read here");
    Answer {
        status: status.parse().expect("a number"),
        body: body.to_owned(),
    }
}
