//! Pages in a real browser: the one that sites have, which is served from another port of the machine, and one from
//! elsewhere, which can do nothing.

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpListener,
};

use serde_json::Value;

use super::{http, service::Service, site::Site, waiting::wait_until};
use crate::helpers::peers;

const FRONTEND: &str = include_str!("../peers/frontend.html");
const INTRUDER: &str = include_str!("../peers/intruder.html");

/// Serves a page to whoever asks, at a port of its own; with the service's address filled in.
pub fn served(page: &str, service: &Service) -> u16 {
    let page = page.replace("SERVICE", &format!("http://127.0.0.1:{}", service.port()));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    // Ends with the test's process.
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let head = lines.map_while(Result::ok);
            head.take_while(|line| !line.is_empty()).for_each(drop);
            let answer = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\n\
                 Connection: close\r\n\r\n{page}",
                page.len()
            );
            // A browser may have lost interest.
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    port
}

/// What the page found out.
fn outcome(address: &str) -> Value {
    let output = peers::browser(address).output().expect("node runs");
    let said = String::from_utf8_lossy(&output.stdout);
    let trouble = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{trouble}");
    let outcome: Value = serde_json::from_str(said.trim()).expect("JSON");
    assert!(outcome["error"].is_null(), "{outcome}\n{trouble}");
    outcome
}

fn is_time(value: &Value) -> bool {
    value
        .as_str()
        .is_some_and(|text| chrono::DateTime::parse_from_rfc3339(text).is_ok())
}

fn or_null(value: &Value, holds: impl Fn(&Value) -> bool) -> bool {
    value.is_null() || holds(value)
}

fn body<'a>(outcome: &'a Value, call: &str, status: u16) -> &'a Value {
    assert_eq!(outcome[call]["status"], status, "{call}: {outcome}");
    &outcome[call]["body"]
}

/// A site with a meter, readings of today and a failure in its log.
fn site() -> Site {
    let site = Site::new();
    site.sql(
        "INSERT INTO meters (external_id, name, bacnet_device_id, bacnet_ip, last_reading_at) VALUES \
             ('M-1', 'Main', 1001, '10.0.0.7', '2026-01-01 00:00:00'), ('M-2', 'Annex', NULL, NULL, NULL), \
             ('M-3', 'Gone', NULL, NULL, NULL); \
         UPDATE meters SET is_active = FALSE WHERE external_id = 'M-3'; \
         INSERT INTO sync_log (batch_size, success, error_message) VALUES (1000, FALSE, 'refused'), (7, TRUE, NULL); \
         INSERT INTO meter_readings (meter_external_id, timestamp, data_point, value, unit) VALUES \
             ('M-1', datetime('now', '-1 hour'), 'energy', 12.340, 'kWh'), \
             ('M-1', datetime('now'), 'power', 1, NULL), \
             ('M-1', datetime('now', '-3 days'), 'energy', 3, 'kWh');",
    );
    site.set("ENABLE_AUTO_SYNC", "false")
}

#[test]
fn the_page_that_sites_have_finds_all_that_it_asks_for() {
    let site = site();
    let service = site.start();
    service.wait_until_connected();
    let port = served(FRONTEND, &service);
    let outcome = outcome(&format!("http://localhost:{port}/"));

    let health = body(&outcome, "health", 200);
    assert_eq!(health["status"], "ok");
    assert!(is_time(&health["timestamp"]), "{health}");

    let meters = body(&outcome, "meters", 200).as_array().unwrap();
    let names: Vec<_> = meters.iter().map(|meter| meter["name"].as_str()).collect();
    assert_eq!(names, [Some("Annex"), Some("Main")], "active ones by name");
    for meter in meters {
        let sound = meter["id"].is_number()
            && meter["external_id"].is_string()
            && or_null(&meter["bacnet_device_id"], Value::is_number)
            && or_null(&meter["bacnet_ip"], Value::is_string)
            && or_null(&meter["last_reading_at"], is_time)
            && meter["is_active"] == true
            && is_time(&meter["created_at"]);
        assert!(sound, "{meter}");
    }
    assert_eq!(meters[1]["bacnet_device_id"], 1001);

    let readings = body(&outcome, "readings", 200).as_array().unwrap();
    let points: Vec<_> = readings
        .iter()
        .map(|one| one["data_point"].as_str())
        .collect();
    assert_eq!(
        points,
        [Some("power"), Some("energy")],
        "newest first, of a day"
    );
    for reading in readings {
        let sound = reading["id"].is_number()
            && reading["meter_external_id"].is_string()
            && is_time(&reading["timestamp"])
            && reading["value"].is_number()
            && or_null(&reading["unit"], Value::is_string)
            && reading["is_synchronized"] == false
            && is_time(&reading["created_at"]);
        assert!(sound, "{reading}");
    }
    assert_eq!(readings[1]["value"], 12.34);

    let status = body(&outcome, "status", 200);
    assert_eq!(status["is_connected"], true);
    assert!(is_time(&status["last_sync_at"]), "{status}");
    assert_eq!(status["queue_size"], 3);
    let errors = status["sync_errors"].as_array().unwrap();
    assert_eq!(errors.len(), 1, "{status}");
    assert_eq!(errors[0]["error_message"], "refused");
    let sound = errors[0]["id"].is_number()
        && errors[0]["batch_size"] == 1000
        && is_time(&errors[0]["synced_at"]);
    assert!(sound, "{status}");

    let trigger = body(&outcome, "trigger", 200);
    assert!(trigger["message"].is_string() && trigger["queue_size"].is_number());
    assert_eq!(body(&outcome, "unknown", 404)["error"], "Not found");
    wait_until("the readings to arrive", || {
        site.client_system.delivered().1 == 3
    });
    service.stop();
}

#[test]
fn the_page_is_told_that_the_client_system_is_away() {
    let site = site();
    site.client_system.set_down(true);
    let service = site.start();
    wait_until("the outage to be noticed", || {
        service.get("/status")["state"] == "offline"
    });
    let port = served(FRONTEND, &service);
    let outcome = outcome(&format!("http://127.0.0.1:{port}/"));
    assert_eq!(body(&outcome, "status", 200)["is_connected"], false);
    assert_eq!(
        body(&outcome, "trigger", 503)["error"],
        "Client System is not reachable"
    );
    service.stop();
}

#[test]
fn a_page_from_elsewhere_sees_and_triggers_nothing() {
    let site = site();
    let service = site.start();
    service.wait_until_connected();
    let port = served(INTRUDER, &service);
    let outcome = outcome(&format!("http://intruder.example:{port}/"));
    for seen in ["status", "local", "preflighted"] {
        assert_eq!(outcome[seen], "refused", "{seen}: {outcome}");
    }
    // What a page may send blindly was sent, and refused by the service.
    for sent in ["trigger", "stop", "store"] {
        assert_eq!(outcome[sent], "opaque", "{sent}: {outcome}");
    }
    let status = service.get("/status");
    assert_eq!(status["sync"]["isRunning"], true, "{status}");
    assert_eq!(status["last_pass"], Value::Null, "{status}");
    assert_eq!(site.count("meter_readings"), 3);
    assert_eq!(site.client_system.delivered().1, 0);

    // The same page as one of this machine could have done all that.
    let port = served(INTRUDER, &service);
    let outcome = self::outcome(&format!("http://localhost:{port}/"));
    assert!(
        outcome["status"].as_str().unwrap().contains("pending"),
        "{outcome}"
    );
    wait_until("the stop to be obeyed", || {
        service.get("/status")["sync"]["isRunning"] == false
    });
    service.stop();
}

#[test]
fn the_page_that_sites_have_needs_no_token_unless_somebody_says_so() {
    let token = "control-token-of-the-site";
    let bearer = format!("Bearer {token}");
    for (reads, open, status, trigger) in [
        ("true", "true", 200, 200),
        ("false", "true", 401, 200),
        ("false", "false", 401, 401),
    ] {
        let site = site()
            .set("LOCAL_API_HOST", "0.0.0.0")
            .set("LOCAL_API_NAMES", "edge.example")
            .set("CONTROL_TOKEN", token)
            .set("READ_TOKEN", "read-token-of-the-site")
            .set("FRONTEND_READS_WITHOUT_TOKEN", reads)
            .set("FRONTEND_WITHOUT_TOKEN", open);
        let service = site.start();
        let ask = |method: &str, path: &str, headers: &[(&str, &str)]| {
            http::request_with(service.port(), method, path, headers)
        };
        let known = [("Authorization", bearer.as_str())];
        wait_until("a connection", || {
            ask("GET", "/api/v1/connectivity", &known).json()["isConnected"] == true
        });
        let port = served(FRONTEND, &service);
        let outcome = outcome(&format!("http://edge.example:{port}/"));
        body(&outcome, "health", 200);
        for call in ["meters", "readings", "status"] {
            body(&outcome, call, status);
        }
        body(&outcome, "trigger", trigger);
        let arrived = if open == "true" { 3 } else { 0 };
        wait_until("what was asked for", || {
            site.client_system.delivered().1 == arrived
        });
        assert_eq!(ask("GET", "/status", &[]).status, 401);
        assert_eq!(ask("POST", "/api/v1/sync/trigger", &[]).status, 401);
        service.stop();
    }
}
