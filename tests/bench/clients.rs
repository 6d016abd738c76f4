//! Programs that hand readings to the local API: several connections, bodies that were serialised beforehand.

use std::{
    path::Path,
    sync::{Mutex, PoisonError},
    thread,
};

use meterit_sync::clock::Clock;
use serde_json::json;

use crate::{
    bodies::Bodies,
    connection::Connection,
    helper::{Helper, argument},
};

/// Who send at the same time.
const CLIENTS: usize = 4;
const CREATED: u16 = 201;

/// What the clients saw.
pub struct Pushed {
    /// Seconds from the first request to the last answer.
    pub wall: f64,
    /// Bytes of all bodies.
    pub bytes: f64,
}

/// Sends all bodies of a file, in a process of its own.
pub fn run(port: u16, content_type: &str, bodies: &Path) -> Pushed {
    let bodies = bodies.display().to_string();
    let mut process = Helper::start("clients", &[&port.to_string(), content_type, &bodies]);
    let report = process.report();
    let number = |name: &str| report[name].as_f64().unwrap_or(f64::NAN);
    Pushed {
        wall: number("wall"),
        bytes: number("bytes"),
    }
}

/// The role: sends everything, and reports what it saw.
pub fn push(arguments: &[String]) {
    let port = argument(arguments, 0, "a port").parse().expect("a port");
    let content_type = argument(arguments, 1, "a content type");
    let bodies = Mutex::new(Bodies::open(argument(arguments, 2, "a file of bodies")));
    let headers = format!("content-type: {content_type}\r\n");
    let clock = Clock::system();
    let bytes: usize = thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| scope.spawn(|| push_some(port, &headers, &bodies)))
            .collect();
        let bytes = clients.into_iter().map(|client| client.join());
        bytes
            .sum::<thread::Result<usize>>()
            .expect("every body is taken")
    });
    let report = json!({ "wall": clock.elapsed().as_secs_f64(), "bytes": bytes });
    println!("{report}");
}

/// Sends bodies until there are none left; answers how many bytes these had.
fn push_some(port: u16, headers: &str, bodies: &Mutex<Bodies>) -> usize {
    let mut connection = Connection::open(port).expect("a service");
    let (mut body, mut bytes) = (Vec::new(), 0);
    let next = |body: &mut Vec<u8>| {
        let mut bodies = bodies.lock().unwrap_or_else(PoisonError::into_inner);
        bodies.next(body)
    };
    while next(&mut body) {
        let answer = connection
            .exchange("POST", "/api/v1/readings", headers, &body)
            .expect("an answer of the service");
        let words = String::from_utf8_lossy(&answer.body);
        assert_eq!(answer.status, CREATED, "{words}");
        bytes += body.len();
    }
    bytes
}
