//! What clients do with a connection beyond one request and its answer: they ask ahead, say that they say no more, and take
//! their time.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpStream},
    time::Duration,
};

use meterit_sync::{
    clock::Clock,
    demo::client_system::{FaultAction, FaultPath, FaultRule},
};

use super::{
    Site,
    waiting::{PATIENCE, wait_until},
};

/// Longer than a head may take.
const LONG: Duration = Duration::from_secs(12);
const QUESTION: &str = "GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n";
const LAST: &str = "Connection: close\r\n";

fn connect(port: u16) -> TcpStream {
    let connection = TcpStream::connect(("127.0.0.1", port)).expect("a connection");
    connection.set_read_timeout(Some(PATIENCE)).unwrap();
    connection
}

/// A request that stores a reading of this meter.
fn posted(meter: &str, version: &str, more: &str) -> String {
    let body = format!(
        r#"[{{"meter_external_id":"{meter}","timestamp":"2026-01-01T00:00:00Z","data_point":"energy","value":1}}]"#
    );
    format!(
        "POST /api/v1/readings HTTP/{version}\r\nHost: localhost\r\nContent-Type: application/json\r\n{more}\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// As [`posted`], in chunks.
fn posted_in_chunks(meter: &str, more: &str) -> String {
    let whole = posted(meter, "1.1", more);
    let (head, body) = whole.split_once("\r\n\r\n").unwrap();
    let (head, _) = head.split_once("Content-Length").unwrap();
    let (first, second) = body.split_at(20);
    format!(
        "{head}Transfer-Encoding: chunked\r\n\r\n14\r\n{first}\r\n{:x}\r\n{second}\r\n0\r\n\r\n",
        second.len()
    )
}

/// All that comes until the other side has said all.
fn rest(connection: &mut TcpStream) -> String {
    let mut answers = Vec::new();
    // What was said ahead of an end is thrown away with a reset, and so is that one.
    let _ = connection.read_to_end(&mut answers);
    String::from_utf8_lossy(&answers).into_owned()
}

/// What is answered to this, when nothing more is said and the last of it ends the connection.
fn answers(port: u16, said: &str) -> String {
    let mut connection = connect(port);
    connection.write_all(said.as_bytes()).unwrap();
    rest(&mut connection)
}

fn stored(site: &Site, meter: &str) -> u64 {
    site.count(&format!(
        "meter_readings WHERE meter_external_id = '{meter}'"
    ))
}

/// A site where nothing is uploaded, for nobody listens on that port.
fn quiet() -> Site {
    Site::new().set("CLIENT_API_URL", "http://127.0.0.1:9/api")
}

#[test]
fn every_head_may_take_the_same_time() {
    let site = quiet();
    let service = site.start();
    let port = service.port();
    for (what, before) in [("first", ""), ("second", QUESTION)] {
        let mut connection = connect(port);
        connection.write_all(before.as_bytes()).unwrap();
        if !before.is_empty() {
            let read = connection.read(&mut [0; 4_096]).unwrap();
            assert!(read > 0, "the first request is answered");
        }
        let clock = Clock::system();
        let mut hearing = connection.try_clone().unwrap();
        let heard = std::thread::spawn(move || rest(&mut hearing));
        for byte in QUESTION.bytes().cycle().take_while(|byte| *byte != b'\r') {
            // Until it is ended.
            let written = connection.write_all(&[byte]);
            if written.is_err() || heard.is_finished() || clock.elapsed() > LONG {
                break;
            }
            std::thread::sleep(Duration::from_millis(300));
        }
        let heard = heard.join().unwrap();
        assert!(heard.starts_with("HTTP/1.1 408"), "{what}: {heard}");
    }
}

#[test]
fn an_answer_is_that_of_its_request_whatever_comes_behind() {
    let site = quiet();
    let service = site.start();
    let behind = format!("HEAD /health/live HTTP/1.1\r\nHost: localhost\r\n{LAST}\r\n");
    for (meter, first) in [
        ("whole", posted("whole", "1.1", "")),
        ("chunked", posted_in_chunks("chunked", "")),
    ] {
        let answers = answers(service.port(), &format!("{first}{behind}"));
        let first = answers.split("HTTP/1.1 ").nth(1).expect("an answer");
        let (head, body) = first.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("201") && !head.contains("close"), "{head}");
        assert!(body.starts_with(r#"{"stored":1}"#), "{meter}: {answers}");
        assert_eq!(answers.matches("HTTP/1.1 ").count(), 2, "{answers}");
        assert_eq!(stored(&site, meter), 1);
    }
}

#[test]
fn nothing_is_carried_out_behind_the_last_request_of_a_connection() {
    let site = quiet();
    let service = site.start();
    let port = service.port();
    let behind = [posted("behind", "1.1", ""), posted_in_chunks("behind", "")].concat();
    for last in [
        posted("last", "1.1", LAST),
        posted("last", "1.0", ""),
        posted("last", "1.1", "Connection: close\r\nUpgrade: h2c\r\n"),
        posted_in_chunks("last", LAST),
        QUESTION.replace("\r\n\r\n", &format!("\r\n{LAST}\r\n")),
        QUESTION.replace("1.1", "1.0"),
        // A body that nobody reads.
        QUESTION.replace(
            "\r\n\r\n",
            "\r\nContent-Length: 9\r\nConnection: close\r\n\r\n{\n\n\n\n\n\n\n}",
        ),
    ] {
        let answers = answers(port, &format!("{last}{behind}"));
        assert_eq!(answers.matches("HTTP/1.").count(), 1, "{last}: {answers}");
        assert_eq!(stored(&site, "behind"), 0, "{last}");
    }
    assert_eq!(stored(&site, "last"), 4);
    let kept = answers(port, &format!("{QUESTION}{}", posted("kept", "1.1", LAST)));
    assert_eq!(kept.matches("HTTP/1.1 2").count(), 2, "{kept}");
}

#[test]
fn whoever_says_no_more_is_answered() {
    let site = quiet();
    let service = site.start();
    let port = service.port();
    for (number, asked) in [
        posted("half-closed", "1.1", ""),
        posted_in_chunks("half-closed", ""),
        format!("{QUESTION}{}", posted("half-closed", "1.1", "")),
    ]
    .iter()
    .enumerate()
    {
        let mut connection = connect(port);
        connection.write_all(asked.as_bytes()).unwrap();
        connection.shutdown(Shutdown::Write).unwrap();
        let answers = rest(&mut connection);
        assert!(answers.contains("HTTP/1.1 201"), "{asked}: {answers}");
        assert_eq!(stored(&site, "half-closed"), 1 + number as u64);
    }
    let whole = posted("broken off", "1.1", "");
    for length in [whole.len() - 1, whole.len() - 60] {
        let mut connection = connect(port);
        connection.write_all(&whole.as_bytes()[..length]).unwrap();
        connection.shutdown(Shutdown::Write).unwrap();
        assert!(!rest(&mut connection).contains("HTTP/1.1 201"));
    }
    assert_eq!(stored(&site, "broken off"), 0);
}

#[test]
fn whoever_says_no_more_is_answered_however_long_that_takes() {
    let site = Site::new().set("ENABLE_AUTO_SYNC", "false");
    let slow = FaultAction::Delay {
        milliseconds: 8_000,
    };
    site.client_system
        .set_faults(vec![FaultRule::on(FaultPath::Batch, slow)]);
    site.insert(10);
    let service = site.start();
    service.wait_until_connected();
    let mut connection = connect(service.port());
    let asked = "POST /api/v1/sync/trigger?wait=true HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n";
    connection.write_all(asked.as_bytes()).unwrap();
    connection.shutdown(Shutdown::Write).unwrap();
    let answers = rest(&mut connection);
    assert!(answers.starts_with("HTTP/1.1 102 "), "{answers}");
    assert!(answers.contains("\r\n\r\nHTTP/1.1 200"), "{answers}");
}

#[test]
fn whoever_has_gone_is_not_answered_for_ever() {
    let site = quiet();
    let service = site.start();
    let port = service.port();
    let mut watcher = connect(port);
    let asked = "GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n";
    watcher.write_all(asked.as_bytes()).unwrap();
    assert!(watcher.read(&mut [0; 4_096]).unwrap() > 0);
    let held = || {
        let all = std::fs::read_dir(format!("/proc/{}/fd", service.id())).unwrap();
        let sockets = all.filter_map(|file| std::fs::read_link(file.ok()?.path()).ok());
        sockets
            .filter(|to| to.to_string_lossy().starts_with("socket"))
            .count()
    };
    let before = held();
    drop(watcher);
    wait_until("its end to be noticed", || held() < before);
}
