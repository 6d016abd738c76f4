//! What the Sync Frontend at sites gets to see, and which pages may ask at all.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta};
use serde_json::json;

use super::*;
use crate::{
    control::testing::{FakeStore, answering, control},
    domain::{
        connectivity::ConnectivityStatus, meter::Meter, reading::ReadingRow, status::SyncStatus,
        store::StoreError, sync_log::SyncLogEntry, timestamp::Timestamp, value::ReadingValue,
    },
    messages::sync_manager::TriggerRefusal,
};

fn at(seconds: i64) -> Timestamp {
    Timestamp(DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds))
}

fn with(store: FakeStore) -> Control {
    control(|parts| parts.store = Arc::new(store))
}

fn meter(id: i64, is_active: bool) -> Meter {
    Meter {
        id,
        external_id: format!("M-{id}"),
        name: "Main".into(),
        bacnet_device_id: None,
        bacnet_ip: Some("10.0.0.7".into()),
        last_reading_at: None,
        is_active,
        created_at: Some(at(1)),
    }
}

fn row(id: i64, timestamp: &str) -> ReadingRow {
    ReadingRow {
        id,
        meter_external_id: Some("M-1".into()),
        timestamp: Some(timestamp.into()),
        data_point: Some("power".into()),
        value: ReadingValue::parse("12.340"),
        unit: None,
        is_synchronized: false,
        retry_count: 0,
        created_at: None,
    }
}

fn logged(id: i64, error: Option<&str>) -> SyncLogEntry {
    SyncLogEntry {
        id,
        batch_size: 1_000,
        success: error.is_none(),
        error_message: error.map(str::to_owned),
        synced_at: Some(at(id)),
    }
}

#[actix_web::test]
async fn meters_that_are_no_longer_active_are_left_out() {
    let store = FakeStore {
        meters: vec![meter(1, true), meter(2, false)],
        ..FakeStore::default()
    };
    let answer = get(with(store), "/api/local/meters").await;
    assert_eq!(
        answer.json(),
        json!([{
            "id": 1,
            "external_id": "M-1",
            "name": "Main",
            "bacnet_device_id": null,
            "bacnet_ip": "10.0.0.7",
            "last_reading_at": null,
            "is_active": true,
            "created_at": "1970-01-01T00:00:01.000Z",
        }])
    );
}

#[actix_web::test]
async fn readings_are_newest_first_with_numbers_as_values() {
    let store = FakeStore {
        readings: vec![
            row(2, "2026-01-01T00:00:00.000Z"),
            row(1, "2026-01-02T00:00:00.000Z"),
            row(3, "soon"),
        ],
        ..FakeStore::default()
    };
    let answer = get(with(store), "/api/local/readings?hours=24&_=17").await;
    assert_eq!(
        answer.json().as_array().unwrap().len(),
        2,
        "{}",
        answer.text
    );
    assert_eq!(
        answer.json()[0],
        json!({
            "id": 1,
            "meter_external_id": "M-1",
            "timestamp": "2026-01-02T00:00:00.000Z",
            "data_point": "power",
            "value": 12.34,
            "unit": null,
            "is_synchronized": false,
            "created_at": "2026-01-02T00:00:00.000Z",
        })
    );
}

#[actix_web::test]
async fn the_status_tells_the_last_success_and_the_last_failures() {
    let failures = (2..30).rev().map(|id| logged(id, Some("refused")));
    let store = FakeStore {
        log: [logged(40, None)].into_iter().chain(failures).collect(),
        ..FakeStore::default()
    };
    let control = control(|parts| {
        parts.store = Arc::new(store);
        parts.database.update(|database| database.queue.pending = 7);
        parts.connectivity.set(ConnectivityStatus {
            is_connected: true,
            ..ConnectivityStatus::default()
        });
        parts.sync_status.set(SyncStatus {
            last_sync_time: Some(at(50)),
            last_sync_success: Some(false),
            ..SyncStatus::default()
        });
    });
    let status = get(control, "/api/local/sync-status").await.json();
    assert_eq!(status["is_connected"], true);
    assert_eq!(status["last_sync_at"], "1970-01-01T00:00:40.000Z");
    assert_eq!(status["queue_size"], 7);
    assert_eq!(status["sync_errors"].as_array().unwrap().len(), 10);
    assert_eq!(
        status["sync_errors"][0],
        json!({
            "id": 29,
            "batch_size": 1_000,
            "error_message": "refused",
            "synced_at": "1970-01-01T00:00:29.000Z",
        })
    );
}

#[actix_web::test]
async fn a_trigger_answers_in_the_pages_words() {
    for (result, status, expected) in [
        (
            Ok(3),
            200,
            json!({ "message": "Sync triggered", "queue_size": 0 }),
        ),
        (
            Err(TriggerRefusal::Offline("refused".into())),
            503,
            json!({ "error": "Client System is not reachable" }),
        ),
        (
            Err(TriggerRefusal::AlreadyRunning),
            409,
            json!({ "error": "Sync is already in progress" }),
        ),
    ] {
        let control = control(|parts| parts.trigger_sync = answering(move |_| result.clone()));
        let answer = post(control, "/api/local/sync-trigger").await;
        assert_eq!((answer.status.as_u16(), answer.json()), (status, expected));
    }
}

#[actix_web::test]
async fn refusals_have_the_pages_form() {
    let unknown = get(control(|_| {}), "/api/local/nothing").await;
    assert_eq!(
        (unknown.status.as_u16(), unknown.json()),
        (404, json!({ "error": "Not found" }))
    );
    let failing = FakeStore {
        failure: Some(StoreError::Failed("gone".into())),
        ..FakeStore::default()
    };
    let failed = get(with(failing), "/api/local/meters").await;
    assert_eq!(failed.status.as_u16(), 503);
    assert!(failed.json()["error"].is_string(), "{}", failed.text);
    let odd = get(control(|_| {}), "/api/local/readings?hours=0").await;
    assert_eq!(odd.status.as_u16(), 400);
    assert!(odd.json()["error"].is_string(), "{}", odd.text);
}

fn from_page(method: Method, uri: &str, origin: &'static str) -> TestRequest {
    TestRequest::default()
        .method(method)
        .uri(uri)
        .insert_header(("Host", "127.0.0.1:3002"))
        .insert_header(("Origin", origin))
}

#[actix_web::test]
async fn pages_of_this_machine_may_read_the_answers_and_errors_too() {
    for uri in ["/api/local/meters", "/api/local/nothing"] {
        let request = from_page(Method::GET, uri, "http://localhost:3000");
        let answer = send(control(|_| {}), request).await;
        assert_eq!(
            answer.header("access-control-allow-origin"),
            Some("http://localhost:3000"),
            "{uri}"
        );
    }
    let preflight = from_page(
        Method::OPTIONS,
        "/api/local/sync-trigger",
        "http://localhost:3000",
    )
    .insert_header(("Access-Control-Request-Method", "POST"))
    .insert_header(("Access-Control-Request-Headers", "content-type"));
    let answer = send(control(|_| {}), preflight).await;
    assert!(answer.status.is_success(), "{}", answer.status);
    let allowed = answer.header("access-control-allow-methods").unwrap();
    assert!(
        allowed.contains("GET") && allowed.contains("POST"),
        "{allowed}"
    );
    let headers = answer.header("access-control-allow-headers").unwrap();
    assert!(headers.contains("content-type"), "{headers}");
    assert!(headers.contains("mcp-protocol-version"), "{headers}");
}

#[actix_web::test]
async fn other_pages_and_names_reach_nothing() {
    let untouchable = || control(|parts| parts.trigger_sync = answering(|_| panic!("reached")));
    for (method, uri) in [
        (Method::POST, "/api/local/sync-trigger"),
        (Method::POST, "/api/v1/sync/trigger"),
        (Method::GET, "/status"),
    ] {
        for origin in ["http://evil.example", "null"] {
            let request = from_page(method.clone(), uri, origin);
            let answer = send(untouchable(), request).await;
            answer.problem(403, "foreign-origin");
            assert_eq!(answer.header("access-control-allow-origin"), None);
        }
        let request = TestRequest::default()
            .method(method)
            .uri(uri)
            .insert_header(("Host", "evil.example:3002"));
        send(untouchable(), request)
            .await
            .problem(421, "foreign-host");
    }
    let preflight = from_page(Method::OPTIONS, "/api/local/meters", "http://evil.example")
        .insert_header(("Access-Control-Request-Method", "POST"));
    let answer = send(untouchable(), preflight).await;
    answer.problem(403, "foreign-origin");
}
