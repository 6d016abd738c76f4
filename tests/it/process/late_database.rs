//! A Sync Database that is not there yet when the service starts.

use std::process::Command;

use super::{
    service::{PROGRAM, Service},
    site::Site,
    waiting::wait_until,
};

#[test]
fn a_database_that_is_not_there_yet_is_waited_for() {
    let site = Site::new();
    // A file lies where the folder of the database is to be, as on a disk that is not mounted yet.
    let folder = site.file("mounted-later");
    std::fs::write(&folder, "").unwrap();
    let database = folder.join("sync.db");
    let site = site.set("DATABASE_URL", &format!("sqlite:{}", database.display()));
    let service = site.start();

    // The first look at the database comes right after the start.
    wait_until("the state to tell", || {
        service.get("/status")["state"] == "degraded"
    });
    let status = service.get("/status");
    assert!(
        status["reason"].as_str().unwrap().contains("Sync Database"),
        "{status}"
    );
    assert_eq!(service.ask("GET", "/health/live", None).status, 200);
    assert_eq!(service.ask("GET", "/health/ready", None).status, 503);
    let reading = serde_json::json!([{ "meter_external_id": "METER-1", "timestamp": "2026-01-01T00:00:00Z",
        "data_point": "energy", "value": 1.5 }]);
    assert_eq!(service.post("/api/v1/readings", Some(&reading)).status, 503);

    std::fs::remove_file(&folder).unwrap();
    wait_until("the database to be opened", || {
        service.ask("GET", "/health/ready", None).status == 200
    });
    service
        .post("/api/v1/readings", Some(&reading))
        .expect_status(201);
    service.post("/api/v1/sync/trigger?wait=true", None);
    wait_until("the reading to arrive", || {
        site.client_system.delivered().1 == 1
    });
    wait_until("all to be well", || service.get("/status")["state"] == "ok");
    service.stop();
}

#[test]
fn how_many_readings_wait_in_a_database_that_is_locked_at_the_start_is_told_as_not_known() {
    let site = Site::new();
    site.insert(20);
    let keeper = site.kept_by_another_program();
    let service = site.start();
    wait_until("the lock to be told", || {
        service.get("/status")["state"] == "degraded"
    });
    let status = service.get("/status");
    let reason = status["reason"].as_str().unwrap();
    for words in [
        "locked by another program",
        "how many readings wait is not known yet",
    ] {
        assert!(reason.contains(words), "{words}: {reason}");
    }
    // The number stays one for whoever knows no better.
    assert_eq!(status["sync"]["queueSize"], 0, "{status}");
    assert_eq!(status["sync"]["queueSizeUnknown"], true, "{status}");
    assert_eq!(status["queue"]["uncounted"], true, "{status}");
    let metrics = service.ask("GET", "/metrics", None).body;
    for line in [
        "meterit_sync_queue_counted 0",
        "meterit_sync_oldest_pending_age_seconds NaN",
    ] {
        assert!(
            metrics.lines().any(|found| found == line),
            "{line}: {metrics}"
        );
    }
    assert!(
        !metrics.contains("meterit_sync_queue_readings"),
        "{metrics}"
    );
    assert!(
        !metrics.contains("meterit_sync_quarantined_readings"),
        "{metrics}"
    );
    service.post("/api/v1/heartbeat", None).expect_status(200);
    let beats = site.client_system.heartbeats();
    let beat = &beats.last().expect("a heartbeat").body;
    assert!(beat.get("queue_size").is_none(), "{beat}");
    let page = service.ask("GET", "/", None).body;
    assert!(page.contains("not known yet"), "{page}");
    assert!(!page.contains("all uploaded"), "{page}");
    assert!(!page.contains("nothing waits"), "{page}");
    let told = told(&service);
    assert!(told.contains("queue          not known yet"), "{told}");

    keeper.let_go();
    wait_until("all to be well", || service.get("/status")["state"] == "ok");
    site.wait_until_drained(20);
    let metrics = service.ask("GET", "/metrics", None).body;
    assert!(
        metrics.contains("\nmeterit_sync_queue_readings 0\n"),
        "{metrics}"
    );
    assert_eq!(service.get("/status")["sync"]["queueSizeUnknown"], false);
    service.stop();
}

/// What `meterit-sync status` says of it.
fn told(service: &Service) -> String {
    let url = format!("http://127.0.0.1:{}", service.port());
    let output = Command::new(PROGRAM)
        .args(["status", "--url", &url])
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}
