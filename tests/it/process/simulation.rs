//! `simulate client-system`: the other side alone, with faults from a file and over its control API.

use std::{
    fs,
    io::{BufRead, BufReader},
    process::{Command, Stdio},
};

use serde_json::json;

use super::{
    http::{request, try_request},
    service::{PROGRAM, Service},
    site::Site,
    waiting::wait_until,
};

const FAULTS: &str =
    r#"[{"path": "health", "times": 1, "action": {"answer": {"status": 503, "body": "{}"}}}]"#;

#[test]
fn the_simulator_serves_with_faults_from_a_file_and_over_its_control_api() {
    let folder = tempfile::tempdir().unwrap();
    let faults = folder.path().join("faults.json");
    fs::write(&faults, FAULTS).unwrap();
    let simulator = simulate(&["--faults", faults.to_str().unwrap()]);
    let port = simulator.port;
    let health = || request(port, "GET", "/api/health", None).status;

    assert_eq!((health(), health()), (503, 200), "the fault from the file");

    let teapot = json!({"path": "health", "action": {"answer": {"status": 418}}});
    let set = request(port, "PUT", "/_simulator/faults", Some(&teapot));
    assert_eq!(set.status, 204);
    assert_eq!(health(), 418);
    let used = request(port, "GET", "/_simulator/faults", None).expect_status(200);
    assert_eq!(used["items"][0]["used"], 1, "{used}");
    let cleared = request(port, "DELETE", "/_simulator/faults", None);
    assert_eq!((cleared.status, health()), (204, 200));
    let ledger = request(port, "GET", "/_simulator/ledger", None).expect_status(200);
    assert_eq!(ledger["requests"]["/api/health"], 4, "{ledger}");

    simulator.process.stop();
    assert!(try_request(port, "GET", "/api/health", None).is_err());
}

#[test]
fn an_outage_is_made_over_a_control_port_of_its_own() {
    let simulator = simulate(&["--control-port", "0"]);
    let (port, control) = (simulator.port, simulator.control_port);
    let is_up =
        || try_request(port, "GET", "/api/health", None).is_ok_and(|answer| answer.status == 200);

    assert!(is_up());
    request(control, "POST", "/_simulator/down", None).expect_status(202);
    wait_until("the outage", || !is_up());
    request(control, "POST", "/_simulator/up", None).expect_status(202);
    wait_until("the end of the outage", is_up);
    simulator.process.stop();
}

#[test]
fn the_service_delivers_to_a_simulator_in_a_process_of_its_own() {
    let simulator = simulate(&["--api-key", "a-key-for-both"]);
    let port = simulator.port;
    let site = Site::new()
        .set("CLIENT_API_URL", &format!("http://127.0.0.1:{port}/api"))
        .set("CLIENT_API_KEY", "a-key-for-both");
    site.insert(2_500);
    let service = site.start();
    let ledger = || request(port, "GET", "/_simulator/ledger", None).expect_status(200);
    wait_until("all readings", || ledger()["distinct_readings"] == 2_500);
    assert_eq!(ledger()["raw_duplicates"], 0, "{}", ledger());
    service.stop();
    simulator.process.stop();
}

/// A simulator that serves, and its port.
struct Simulator {
    process: Service,
    port: u16,
    control_port: u16,
}

fn simulate(arguments: &[&str]) -> Simulator {
    let mut command = Command::new(PROGRAM);
    command
        .args(["simulate", "client-system", "--port", "0"])
        .args(arguments)
        .env_clear()
        .stdout(Stdio::piped());
    let mut process = Service::spawn(command);
    let mut lines = BufReader::new(process.output()).lines();
    let mut port = |title: &str| {
        let line = lines.next().expect("a line").unwrap();
        assert!(line.starts_with(title), "{line}");
        let after = line.split("127.0.0.1:").nth(1).expect("an address");
        let digits: String = after.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().expect("a port")
    };
    let (port, control_port) = (port("Client System"), port("Control API"));
    Simulator {
        process,
        port,
        control_port,
    }
}

#[test]
fn faults_that_cannot_be_read_end_it_with_2_and_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let faults = folder.path().join("faults.json");
    fs::write(&faults, r#"[{"path": "batch", "action": "explode"}]"#).unwrap();
    let output = Command::new(PROGRAM)
        .args(["simulate", "client-system", "--port", "0", "--faults"])
        .arg(&faults)
        .env_clear()
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    for word in ["faults.json", "explode"] {
        assert!(said.contains(word), "{word}: {said}");
    }
}
