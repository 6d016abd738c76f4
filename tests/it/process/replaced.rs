//! The file of the Sync Database is removed, or another is put in its place, while the service has it open.

use serde_json::Value;

use super::{site::Site, waiting::wait_until};

const DEPLOYED_TABLES: &str = include_str!("../../../migrations/sqlite/0001_deployed_tables.sql");

fn reason(status: &Value) -> &str {
    status["reason"].as_str().unwrap()
}

#[test]
fn a_file_that_was_removed_and_made_anew_is_opened() {
    let site = Site::new();
    let service = site.start();
    service.wait_until_connected();
    site.insert(50);
    site.wait_until_drained(50);
    for suffix in ["", "-wal", "-shm"] {
        // What SQLite has made of these is there or not.
        let _ = std::fs::remove_file(site.file(&format!("sync.db{suffix}")));
    }
    site.sql(&format!("PRAGMA journal_mode = WAL; {DEPLOYED_TABLES}"));
    site.insert(300);
    wait_until("the readings in the new file to arrive", || {
        site.client_system.delivered().0 >= 350
    });
    wait_until("an empty queue", || site.count("meter_readings") == 0);
    let status = service.get("/status");
    assert_eq!(status["state"], "degraded", "{status}");
    assert!(reason(&status).contains("removed or replaced"), "{status}");
    service.stop();
    let service = site.start();
    wait_until("a restart to end the message", || {
        service.get("/status")["state"] == "ok"
    });
    service.stop();
}

#[test]
fn another_file_that_takes_the_place_is_opened_and_a_missing_one_is_made() {
    let site = Site::new();
    let other = Site::new();
    other.insert(200);
    other.sql("PRAGMA wal_checkpoint(TRUNCATE); PRAGMA journal_mode = DELETE;");
    let service = site.start();
    service.wait_until_connected();
    std::fs::copy(other.database(), site.file("other.db")).unwrap();
    std::fs::rename(site.file("other.db"), site.database()).unwrap();
    wait_until("the readings in the other file to arrive", || {
        site.client_system.delivered().1 == 200
    });
    std::fs::remove_file(site.database()).unwrap();
    let posted = serde_json::json!([{ "meter_external_id": "POSTED", "timestamp": "2026-02-01T00:00:00Z",
        "data_point": "energy", "value": 1 }]);
    let refused = service.post("/api/v1/readings", Some(&posted));
    assert_eq!(refused.status, 503, "no file would keep it: {refused:?}");
    wait_until("a new one to take readings", || {
        service.post("/api/v1/readings", Some(&posted)).status == 201
    });
    wait_until("its reading to arrive", || {
        site.client_system.delivered().1 == 201
    });
    service.stop();
}
