//! What an operator sees.

use std::{sync::Arc, time::Duration};

use chrono::DateTime;
use futures_util::{StreamExt, stream};

use super::*;
use crate::{
    control::testing::{FakeStore, control, quarantined},
    domain::{
        connectivity::{ConnectivityStatus, LinkChange},
        event::EventKind,
        status::SyncStatus,
        store::StoreError,
        timestamp::Timestamp,
    },
    messages::{database_writer::DatabaseSnapshot, events::EventBus},
};

#[actix_web::test]
async fn the_status_has_the_contracts_names_and_asks_nobody() {
    let control = control(|parts| {
        parts.sync_status.set(SyncStatus {
            total_synced: 9,
            ..SyncStatus::default()
        });
        parts.connectivity.set(ConnectivityStatus {
            is_connected: true,
            since: Some(Timestamp(DateTime::UNIX_EPOCH)),
            ..ConnectivityStatus::default()
        });
        parts.database.update(|database| database.queue.pending = 4);
        parts.clock.advance(Duration::from_secs(3));
    });
    control.clock().advance(Duration::from_secs(2));
    let answer = get(control.clone(), "/status").await;
    let status = answer.json();
    assert_eq!(status["state"], "ok");
    assert_eq!(status["since"], "1970-01-01T00:00:00.000Z");
    assert_eq!(status["sync"]["queueSize"], 4);
    assert_eq!(status["sync"]["isClientConnected"], true);
    assert_eq!(status["sync"]["totalSynced"], 9);
    assert_eq!(status["connectivity"]["uptime"], 2);
    assert_eq!(status["uptime_s"], 2);
    for field in [
        "reason",
        "queue",
        "heartbeat",
        "config",
        "actors",
        "version",
    ] {
        assert!(!status[field].is_null(), "{field}");
    }
    assert_eq!(
        get(control.clone(), "/api/v1/sync/status").await.json(),
        status["sync"]
    );
    assert_eq!(
        get(control, "/api/v1/connectivity").await.json(),
        status["connectivity"]
    );
}

#[actix_web::test]
async fn health_tells_living_from_being_ready() {
    let in_order = control(|_| {});
    assert_eq!(
        get(in_order.clone(), "/health").await.text,
        r#"{"status":"ok","timestamp":"1970-01-01T00:00:00.000Z"}"#
    );
    assert_eq!(get(in_order.clone(), "/health/live").await.status, 200);
    assert_eq!(get(in_order, "/health/ready").await.status, 200);

    let uncounted = control(|parts| parts.database.set(DatabaseSnapshot::default()));
    assert_eq!(get(uncounted.clone(), "/health/live").await.status, 200);
    get(uncounted, "/health/ready")
        .await
        .problem(503, "not-ready");
    let failing = control(|parts| {
        parts.database.update(|database| {
            database.failing_since = Some(("gone".into(), Timestamp(DateTime::UNIX_EPOCH)));
        });
    });
    let problem = get(failing, "/health/ready")
        .await
        .problem(503, "not-ready");
    assert!(problem["detail"].as_str().unwrap().contains("gone"));
}

#[actix_web::test]
async fn lists_pass_their_window_on_and_have_a_total() {
    let store = FakeStore {
        quarantined: vec![quarantined(1), quarantined(2)],
        ..FakeStore::default()
    };
    let asked = Arc::clone(&store.asked);
    let control = control(|parts| {
        parts.store = Arc::new(store);
        parts.clock.advance(Duration::from_secs(7_200));
    });
    let page = get(control.clone(), "/api/v1/quarantine").await.json();
    assert_eq!(page["total"], 2);
    assert_eq!(page["items"][0]["message"], "unknown meter");
    assert_eq!(
        get(control.clone(), "/api/v1/quarantine/2").await.json()["id"],
        2
    );
    get(control.clone(), "/api/v1/quarantine/3")
        .await
        .problem(404, "not-found");
    assert_eq!(
        get(control.clone(), "/api/v1/meters?limit=1000&offset=7")
            .await
            .text,
        r#"{"total":0,"items":[]}"#
    );
    get(control.clone(), "/api/v1/readings?meter=M&hours=2").await;
    let stats = get(control.clone(), "/api/v1/sync/stats?hours=1").await;
    assert_eq!(stats.json()["success_rate"], 66.67);
    get(control, "/api/v1/sync/log").await;
    let asked = asked.lock().unwrap();
    assert_eq!(asked[3], "meters Window { limit: 1000, offset: 7 }");
    assert_eq!(
        asked[4],
        "readings Some(\"M\") 1970-01-01T00:00:00.000Z Window { limit: 100, offset: 0 }"
    );
    assert_eq!(asked[5], "stats 1970-01-01T01:00:00.000Z");
    assert_eq!(asked[6], "log Window { limit: 100, offset: 0 }");
}

#[actix_web::test]
async fn a_database_that_fails_is_503() {
    let control = control(|parts| {
        parts.store = Arc::new(FakeStore {
            failure: Some(StoreError::Failed("disk I/O error".into())),
            ..FakeStore::default()
        });
    });
    for uri in ["/api/v1/meters", "/api/v1/readings", "/api/v1/sync/log"] {
        get(control.clone(), uri)
            .await
            .problem(503, "database-unavailable");
    }
    assert_eq!(get(control, "/status").await.status, 200);
}

#[actix_web::test]
async fn metrics_show_the_status() {
    let control = control(|parts| {
        parts.database.update(|database| {
            database.queue.pending = 4;
            database.queue.oldest_pending_at = Some(Timestamp(DateTime::UNIX_EPOCH));
        });
        parts.clock.advance(Duration::from_secs(5));
    });
    let answer = get(control, "/metrics").await;
    assert_eq!(answer.status, 200);
    assert!(
        answer
            .header("content-type")
            .unwrap()
            .starts_with("text/plain")
    );
    for line in [
        "meterit_sync_queue_readings 4",
        "meterit_sync_oldest_pending_age_seconds 5",
        "meterit_sync_state{state=\"ok\"} 1",
    ] {
        assert!(answer.text.lines().any(|found| found == line), "{line}");
    }
}

#[actix_web::test]
async fn events_are_streamed_under_their_names() {
    let events = EventBus::default();
    let control = control(|parts| parts.events = events.clone());
    let watch = control.watch(None).expect("room for a watcher");
    let frames = crate::http::events::frames(control.clone(), watch, false);
    events.tell(
        Timestamp(DateTime::UNIX_EPOCH),
        EventKind::Link {
            change: LinkChange::Connected,
            reason: None,
        },
    );
    let text: Vec<String> = frames
        .take(3)
        .flat_map(stream::iter)
        .map(|bytes| String::from_utf8(bytes.to_vec()).unwrap())
        .collect()
        .await;
    assert_eq!(text[0], ": connected\n\n");
    let begin = text[1].trim().strip_prefix("id: ").expect("an id");
    let run = begin.strip_suffix("-0").expect("before all events");
    let (first, second) = text[2].split_once("\n\n").expect("two frames");
    let told = |frame: &str, number: &str, name: &str| {
        let head = format!("id: {run}-{number}\nevent: {name}\ndata: {{");
        assert!(frame.starts_with(&head), "{frame}");
    };
    told(first, "1.1", "connected");
    told(second, "1", "state-change");

    // Cut off before anything was heard, and between the two names.
    for (heard, names) in [(begin.to_owned(), 2), (format!("{run}-1.1"), 1)] {
        let watch = control.watch(Some(&heard)).expect("room for a watcher");
        let frames = crate::http::events::frames(control.clone(), watch, false);
        let text: Vec<_> = frames.take(3).flat_map(stream::iter).collect().await;
        assert_eq!(text[1], format!("id: {heard}\n\n"));
        let told = String::from_utf8(text[2].to_vec()).unwrap();
        assert_eq!(told.matches("event: ").count(), names, "{told}");
        assert!(told.ends_with(second), "{told}");
    }
}

#[actix_web::test]
async fn a_watcher_may_see_the_status_and_is_told_what_it_missed() {
    let control = control(|_| {});
    let watch = control.watch(Some("another-7")).expect("room");
    let frames = crate::http::events::frames(control.clone(), watch, true);
    let text: Vec<String> = frames
        .take(4)
        .flat_map(stream::iter)
        .map(|bytes| String::from_utf8(bytes.to_vec()).unwrap())
        .collect()
        .await;
    assert_eq!(text[1], "event: missed\ndata: {\"missed\":null}\n\n");
    let status = text[3].strip_prefix("event: status\ndata: ").expect("it");
    let status: serde_json::Value = serde_json::from_str(status).expect("JSON");
    assert!(status["reason"].is_string(), "{status}");
}

#[actix_web::test]
async fn no_more_watch_than_can_be_served() {
    let control = control(|_| {});
    let watching: Vec<_> = (0..64).map(|_| control.watch(None)).collect();
    assert!(watching.iter().all(Result::is_ok));
    let answer = get(control.clone(), "/api/v1/events").await;
    let problem = answer.problem(503, "too-many-watchers");
    assert!(problem["detail"].as_str().unwrap().contains("64 watch"));
    assert_eq!(answer.header("retry-after"), Some("30"));
    drop(watching);
    assert!(control.watch(None).is_ok());
}
