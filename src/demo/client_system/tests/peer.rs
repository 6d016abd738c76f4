//! A client on a bare socket.

use std::{
    io::{self, Read, Write},
    net::TcpStream,
    time::Duration,
};

use serde_json::{Value, json};

use super::super::{ClientSystem, ClientSystemHandle, ClientSystemOptions};

/// An answer as it came.
#[derive(Debug)]
pub struct Received {
    pub status: u16,
    pub headers: String,
    pub body: Vec<u8>,
}

impl Received {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("the body is JSON")
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let lines = self
            .headers
            .lines()
            .filter_map(|line| line.split_once(": "));
        lines
            .filter(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
            .next()
    }
}

/// A simulator with the default settings.
pub fn start() -> ClientSystem {
    start_with(ClientSystemOptions::default())
}

pub fn start_with(options: ClientSystemOptions) -> ClientSystem {
    ClientSystem::start(options).expect("the simulator starts")
}

pub fn connect(simulator: &ClientSystemHandle) -> TcpStream {
    let socket = TcpStream::connect(("127.0.0.1", simulator.port())).expect("the port is open");
    socket
        .set_read_timeout(Some(Duration::from_secs(20)))
        .expect("a timeout can be set");
    socket
}

/// Sends a request with these further header lines.
pub fn send(socket: &mut TcpStream, call: &str, headers: &str, body: &[u8]) {
    let head = format!(
        "{call} HTTP/1.1\r\nHost: test\r\nX-API-Key: demo-key\r\nContent-Type: application/json\r\n\
         {headers}Content-Length: {}\r\n\r\n",
        body.len()
    );
    socket
        .write_all(head.as_bytes())
        .and_then(|()| socket.write_all(body))
        .expect("the request can be sent");
}

/// Reads one answer with a known length.
pub fn receive(socket: &mut TcpStream) -> io::Result<Received> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        socket.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let headers = String::from_utf8(head).expect("the head is text");
    let status = headers[9..12].parse().expect("the status is a number");
    let mut received = Received {
        status,
        headers,
        body: Vec::new(),
    };
    let length = received
        .header("content-length")
        .and_then(|length| length.parse().ok())
        .unwrap_or(0);
    received.body.resize(length, 0);
    socket.read_exact(&mut received.body)?;
    Ok(received)
}

pub fn ask(
    simulator: &ClientSystemHandle,
    call: &str,
    headers: &str,
    body: &[u8],
) -> io::Result<Received> {
    let mut socket = connect(simulator);
    send(&mut socket, call, headers, body);
    receive(&mut socket)
}

pub const BATCH: &str = "POST /api/sync/readings/batch";

/// Uploads a batch under a key.
pub fn upload(simulator: &ClientSystemHandle, key: &str, batch: &Value) -> io::Result<Received> {
    ask(
        simulator,
        BATCH,
        &format!("Idempotency-Key: {key}\r\n"),
        batch.to_string().as_bytes(),
    )
}

/// One reading of each meter.
pub fn batch(meters: &[&str]) -> Value {
    let reading = |meter: &&str| {
        json!({
            "meter_external_id": meter, "timestamp": "2026-01-01T00:00:00.000Z",
            "data_point": "energy_total", "value": 1.5, "unit": "kWh",
        })
    };
    json!({"readings": meters.iter().map(reading).collect::<Vec<_>>()})
}
