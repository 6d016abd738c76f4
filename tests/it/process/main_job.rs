//! The main job: readings that another program inserts arrive, and the service tells the truth about it.

use std::{
    collections::BTreeSet,
    io::{Read, Write},
    net::TcpStream,
};

use meterit_sync::demo::client_system::{FaultAction, FaultPath, FaultRule};
use serde_json::Value;

use super::{service::Service, site::Site, waiting::wait_until};

const READINGS: u32 = 25_000;

#[test]
fn readings_of_the_sqlite3_shell_arrive_within_one_triggered_pass() {
    let site = Site::new();
    let service = site.start();
    service.wait_until_connected();
    site.insert(READINGS);

    let report = service
        .post("/api/v1/sync/trigger?wait=true", None)
        .expect_status(200);

    assert_eq!(report["end"]["kind"], "drained", "{report}");
    let ledger = site.assert_all_delivered_once(READINGS.into());
    assert_eq!(ledger.raw_duplicates, 0);
    assert_eq!(site.count("meter_readings"), 0);
    let logged = site
        .sql("SELECT count(*), sum(batch_size), min(success), count(error_message) FROM sync_log;");
    assert_eq!(logged, format!("{}|{READINGS}|1|0", ledger.batches_stored));
    assert_status(&service.get("/status"));
    service.stop();
}

/// The contract's names, and after them what else is told: the contract has no place of its own for those.
const NAMES: [(&str, &str, &str); 4] = [
    (
        "",
        "actors config connectivity heartbeat queue reason since state sync uptime_s version",
        "earlier_salvages expiring_certificate instance last_pass recent_events refused_calls salvage upload_trouble",
    ),
    (
        "/sync",
        "isClientConnected isRunning lastSyncError lastSyncSuccess lastSyncTime queueSize totalFailed totalSynced",
        "queueSizeUnknown",
    ),
    (
        "/connectivity",
        "consecutiveFailures downtime isConnected lastCheckTime lastFailedConnection lastSuccessfulConnection uptime",
        "heldUntil lastError nextCheckTime trouble url",
    ),
    (
        "/queue",
        "disk_free_bytes drain_rate_per_s eta_s hours_until_full in_flight oldest_pending_at pending quarantined",
        "disk_full_since log_kept_bytes log_lacks_bytes parked_batches parked_error possibly_doubled_uploads uncounted",
    ),
];

fn assert_status(status: &Value) {
    for (part, contract, others) in NAMES {
        let mut expected: Vec<&str> = contract.split(' ').chain(others.split(' ')).collect();
        expected.retain(|name| !name.is_empty());
        expected.sort_unstable();
        assert_eq!(names(status, part), expected, "{part}: {status}");
    }
    let actors = status["actors"].as_array().expect("a list");
    assert_eq!(actors.len(), 6, "{status}");
    for actor in actors {
        for name in ["name", "state", "restarts", "last_failure"] {
            assert!(actor.get(name).is_some(), "{name}: {actor}");
        }
        assert_eq!(actor["restarts"], 0, "{actor}");
    }
    assert_values(status);
}

fn assert_values(status: &Value) {
    assert_eq!(status["state"], "ok", "{status}");
    let sync = &status["sync"];
    assert_eq!(sync["queueSize"], 0);
    assert_eq!(sync["totalSynced"], READINGS);
    assert_eq!(sync["totalFailed"], 0);
    assert_eq!(sync["isRunning"], true);
    assert_eq!(sync["isClientConnected"], true);
    assert_eq!(sync["lastSyncSuccess"], true);
    assert_eq!(sync["lastSyncError"], Value::Null);
    assert_eq!(status["queue"]["pending"], 0);
    assert_eq!(status["queue"]["in_flight"], 0, "{status}");
    assert_eq!(status["queue"]["oldest_pending_at"], Value::Null);
    for time in [&status["since"], &sync["lastSyncTime"]] {
        let text = time.as_str().expect("a time");
        assert_eq!(text.len(), "2026-01-01T00:00:00.000Z".len(), "{text}");
        assert!(text.ends_with('Z'), "{text}");
    }
}

/// The names of an object's fields, sorted.
fn names<'a>(status: &'a Value, part: &str) -> Vec<&'a str> {
    let object = status.pointer(part).and_then(Value::as_object);
    let object = object.expect("an object");
    let mut names: Vec<&str> = object.keys().map(String::as_str).collect();
    names.sort_unstable();
    names
}

/// The state and its reason in the lines of the log that tell of a change.
fn states_told(service: &Service) -> Vec<(String, String)> {
    let lines = service.log();
    let lines = lines.iter().filter_map(|line| {
        let line: Value = serde_json::from_str(line).ok()?;
        let text = |field: &str| line[field].as_str().map(str::to_owned);
        (line["message"] == "the state has changed").then_some((text("state")?, text("reason")?))
    });
    lines.collect()
}

#[test]
fn the_log_tells_every_state_in_the_words_of_the_status() {
    let site = Site::new().set("CONNECTIVITY_CHECK_INTERVAL_MS", "1000");
    let service = site.start();
    service.wait_until_connected();
    for down in [true, false] {
        site.client_system.set_down(down);
        let state = if down { "offline" } else { "ok" };
        // The words of a state may change while it lasts.
        let mut reasons = BTreeSet::new();
        wait_until("the state and its words in the log", || {
            let status = service.get("/status");
            reasons.insert(status["reason"].as_str().unwrap().to_owned());
            let last = states_told(&service).pop();
            let is_told = |(told, reason): (String, _)| told == state && reasons.contains(&reason);
            status["state"] == state && last.is_some_and(is_told)
        });
    }
    service.stop();
}

#[test]
fn the_log_tells_a_new_cause_of_the_same_state() {
    let site = Site::new();
    let service = site.start();
    service.wait_until_connected();
    wait_until("all to be well", || service.get("/status")["state"] == "ok");
    wait_until("that in the log", || {
        states_told(&service)
            .last()
            .is_some_and(|(state, _)| state == "ok")
    });
    let action = FaultAction::Answer {
        status: 404,
        headers: Vec::new(),
        body: r#"{"message":"no such site"}"#.to_owned(),
    };
    site.client_system
        .add_fault(FaultRule::on(FaultPath::Heartbeat, action));
    service.post("/api/v1/heartbeat", None);
    wait_until("the new cause in the log", || {
        service.log().iter().any(|line| {
            line.contains("the state lasts, for another cause")
                && line.contains("the Client System answered 404: no such site")
        })
    });
    service.stop();
}

/// Anyone can send it, so that it is no error of the service.
#[test]
fn requests_that_make_no_sense_are_answered_and_not_logged_as_errors() {
    let site = Site::new();
    let service = site.start();
    for garbled in [
        "\u{1}\u{2}\u{3} / HTTP/1.1\r\n\r\n".to_owned(),
        "GET / HTTP/1.1\r\nno header\r\n\r\n".to_owned(),
        format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "x".repeat(1 << 20)),
    ] {
        let mut connection = TcpStream::connect(("127.0.0.1", service.port())).unwrap();
        // It may have been cut off before its end.
        let _ = connection.write_all(garbled.as_bytes());
        let mut answer = Vec::new();
        let _ = connection.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 4"),
            "{answer}"
        );
    }
    service.get("/status");
    let log = service.stop();
    let errors: Vec<_> = log.iter().filter(|line| line.contains("ERROR")).collect();
    assert!(errors.is_empty(), "{errors:?}");
}
