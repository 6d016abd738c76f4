//! Traces: a collector gets the spans of requests and uploads, and one that is gone is no reason for anything to stop.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time::Duration,
};

use super::{readme::free_port, site::Site, waiting::wait_until};

const PATIENCE: Duration = Duration::from_secs(30);

/// A request as the collector got it.
struct Received {
    head: String,
    body: Vec<u8>,
}

impl Received {
    fn has(&self, word: &str) -> bool {
        self.body
            .windows(word.len())
            .any(|window| window == word.as_bytes())
    }
}

/// Takes everything that comes and says yes; ends with the test.
fn collector() -> (u16, mpsc::Receiver<Received>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (tell, received) = mpsc::channel();
    std::thread::spawn(move || {
        for connection in listener.incoming().map_while(Result::ok) {
            let tell = tell.clone();
            std::thread::spawn(move || take_all(connection, &tell));
        }
    });
    (port, received)
}

fn take_all(mut connection: TcpStream, tell: &mpsc::Sender<Received>) {
    while let Some(request) = take(&mut connection) {
        // The test has seen enough once it listens no more.
        let _ = tell.send(request);
        let answer =
            b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n";
        if connection.write_all(answer).is_err() {
            return;
        }
    }
}

fn take(connection: &mut TcpStream) -> Option<Received> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        connection.read_exact(&mut byte).ok()?;
        head.extend(byte);
    }
    let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .expect("a length");
    let mut body = vec![0; length.parse().unwrap()];
    connection.read_exact(&mut body).ok()?;
    Some(Received { head, body })
}

#[test]
fn a_collector_gets_the_spans_of_requests_and_uploads() {
    let (port, received) = collector();
    let site = Site::new().set("OTLP_ENDPOINT", &format!("http://127.0.0.1:{port}/"));
    let service = site.start();
    service.get("/status");
    site.insert(10);
    site.wait_until_drained(10);
    // What is gathered goes out at the end, at the latest.
    service.stop();

    let mut requests = Vec::new();
    let saw = |requests: &[Received], word| requests.iter().any(|request| request.has(word));
    while !(saw(&requests, "upload") && saw(&requests, "/status")) {
        requests.push(received.recv_timeout(PATIENCE).expect("spans"));
    }
    for request in &requests {
        assert!(request.head.starts_with("post /v1/traces http/1.1\r\n"));
        assert!(
            request
                .head
                .contains("content-type: application/x-protobuf")
        );
        assert!(request.has("service.name") && request.has("meterit-sync"));
    }
    let key = site.client_system.api_key().to_owned();
    assert!(!saw(&requests, &key), "a secret leaves the site");
}

#[test]
fn a_collector_that_is_gone_is_told_once_and_holds_nothing_up() {
    let site = Site::new().set(
        "OTLP_ENDPOINT",
        &format!("http://127.0.0.1:{}", free_port()),
    );
    let service = site.start();
    site.insert(10);
    site.wait_until_drained(10);
    let complaints = |log: &[String]| {
        log.iter()
            .filter(|line| line.contains("traces cannot be sent and are lost"))
            .count()
    };
    wait_until("a word about the collector", || {
        complaints(&service.log()) == 1
    });
    service.get("/status");
    let log = service.stop();
    assert_eq!(complaints(&log), 1, "{log:?}");
}
