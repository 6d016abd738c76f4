//! A Sync Database that is not there yet when the service starts.

use super::{site::Site, waiting::wait_until};

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
