//! What the tools answer, and in which words they refuse.

use std::sync::{Arc, Mutex};

use chrono::DateTime;
use serde_json::json;

use super::*;
use crate::{
    control::{
        ControlError,
        testing::{FakeStore, answering, control, gone, quarantined},
    },
    domain::{
        outcome::CallFailure,
        pass::{PassEnd, PassReport, PassTrigger},
        quarantine::{QuarantineFilter, QuarantineReason},
        status::SyncStatus,
        store::{QuarantineActionResult, StoreError},
        timestamp::Timestamp,
    },
    messages::{
        database_writer::{DiscardQuarantined, RequeueQuarantined},
        sync_manager::{TriggerRefusal, TriggerSyncAndWait},
    },
    supervision::published::Published,
};

fn report(end: PassEnd) -> PassReport {
    let start = Timestamp(DateTime::UNIX_EPOCH);
    PassReport {
        id: 7,
        trigger: PassTrigger::Manual,
        started_at: start,
        finished_at: start,
        delivered: 3,
        quarantined: 1,
        failed: 0,
        requests: 1,
        end,
    }
}

fn triggering(outcome: Result<PassReport, TriggerRefusal>) -> Control {
    control(|parts| {
        parts.trigger_sync_and_wait = answering(move |_: TriggerSyncAndWait| outcome.clone());
        parts.sync_status = Published::new(SyncStatus {
            last_sync_success: Some(true),
            ..SyncStatus::default()
        });
        parts.database.update(|database| database.queue.pending = 5);
    })
}

#[actix_web::test]
async fn a_triggered_sync_tells_the_outcome_under_the_contract_s_names() {
    let result = call(
        triggering(Ok(report(PassEnd::Drained))),
        "trigger_sync",
        json!({}),
    )
    .await;
    assert_eq!(
        *answer(&result),
        json!({
            "success": true,
            "message": "the queue was uploaded: 3 readings arrived, 1 went to quarantine",
            "queue_size_before": 5,
            "queue_size_after": 5,
            "last_sync_success": true,
        })
    );
}

#[actix_web::test]
async fn a_sync_that_is_refused_says_why_in_the_control_s_words() {
    let refusal = TriggerRefusal::Offline("connection refused".into());
    let expected = ControlError::Refused(refusal.clone());
    let result = call(triggering(Err(refusal)), "trigger_sync", json!({})).await;
    let told = problem(&result, "client-system-offline");
    assert_eq!(told["title"], expected.kind().title());
    assert_eq!(told["detail"], expected.to_string());

    let failed = report(PassEnd::GivenUp {
        words: "HTTP 500".into(),
    });
    let result = call(triggering(Ok(failed.clone())), "trigger_sync", json!({})).await;
    let told = problem(&result, "upload-given-up");
    assert_eq!(told["report"], json!(failed));

    let until = Timestamp(DateTime::UNIX_EPOCH + chrono::TimeDelta::milliseconds(1_500));
    let result = call(
        triggering(Err(TriggerRefusal::Held(until))),
        "trigger_sync",
        json!({}),
    )
    .await;
    assert_eq!(problem(&result, "client-system-held")["retry_after_s"], 2);
}

#[actix_web::test]
async fn an_overview_holds_the_contract_s_parts() {
    let result = call(control(|_| ()), "get_sync_status", json!({})).await;
    let overview = answer(&result);
    assert_eq!(overview["sync_status"]["isRunning"], false);
    assert_eq!(overview["connectivity"]["isConnected"], false);
    assert_eq!(overview["stats_24h"]["success_rate"], 66.67);
    assert_eq!(overview["recent_logs"], json!([]));
    assert_eq!(overview["state"], "ok");
}

#[actix_web::test]
async fn arguments_are_handed_on_within_their_bounds() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let looking = control(|parts| {
        parts.store = Arc::new(FakeStore {
            asked: Arc::clone(&asked),
            ..FakeStore::default()
        });
    });
    let arguments = json!({ "meter_id": "M-1", "hours": 1, "limit": 7 });
    let result = call(looking.clone(), "query_meter_readings", arguments).await;
    assert_eq!(
        *answer(&result),
        json!({ "count": 0, "total": 0, "readings": [] })
    );
    assert_eq!(
        asked.lock().unwrap().pop().as_deref(),
        Some("readings Some(\"M-1\") 1969-12-31T23:00:00.000Z Window { limit: 7, offset: 0 }")
    );
    for (name, arguments, at_fault) in [
        ("query_meter_readings", json!({ "hours": 0 }), "hours"),
        ("query_meter_readings", json!({ "hours": "24" }), "hours"),
        ("query_meter_readings", json!({ "limit": 1_001 }), "limit"),
        ("query_meter_readings", json!({ "meter_id": 5 }), "meter_id"),
        ("query_meter_readings", json!({ "meter": "M-1" }), "meter"),
        ("get_sync_stats", json!({ "hours": 87_601 }), "hours"),
        ("list_quarantine", json!({ "reason": "bad" }), "reason"),
        ("stop_sync", json!({ "really": true }), "really"),
    ] {
        let result = call(looking.clone(), name, arguments).await;
        let told = problem(&result, "invalid-request");
        let words = told["detail"].as_str().unwrap();
        let begin = format!("the argument {at_fault} is not valid (");
        assert!(words.starts_with(&begin), "{words}");
        assert!(words.contains("so nothing was done"), "{words}");
    }
    assert!(asked.lock().unwrap().is_empty());
}

#[actix_web::test]
async fn numbers_are_taken_within_the_bounds_that_the_schemas_tell() {
    let mut checked = 0;
    for tool in tools::all().shown() {
        let Some(Value::Object(fields)) = tool.input_schema.get("properties") else {
            continue;
        };
        for (field, schema) in fields {
            let (Some(least), Some(most)) =
                (schema["minimum"].as_i64(), schema["maximum"].as_i64())
            else {
                continue;
            };
            for (number, is_taken) in [
                (least - 1, false),
                (least, true),
                (most, true),
                (most + 1, false),
            ] {
                let arguments = json!({ field.as_str(): number });
                let result = call(control(|_| ()), &tool.name, arguments).await;
                let was_taken = result.is_error == Some(false);
                assert_eq!(was_taken, is_taken, "{} {field} {number}", tool.name);
                checked += 1;
            }
        }
    }
    assert_eq!(checked, 5 * 4);
}

#[actix_web::test]
async fn quarantined_readings_are_named_by_id_or_by_a_filter() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let result = QuarantineActionResult {
        affected: 1,
        ..QuarantineActionResult::default()
    };
    let acting = control(|parts| {
        let (discarded, requeued) = (Arc::clone(&asked), Arc::clone(&asked));
        let (discard_result, requeue_result) = (result.clone(), result.clone());
        parts.discard_quarantined = answering(move |message: DiscardQuarantined| {
            discarded.lock().unwrap().push((message.filter, false));
            Ok(discard_result.clone())
        });
        parts.requeue_quarantined = answering(move |message: RequeueQuarantined| {
            let asked = (message.filter, message.accept_double);
            requeued.lock().unwrap().push(asked);
            Ok(requeue_result.clone())
        });
    });
    let by_id = QuarantineFilter {
        id: Some(7),
        ..QuarantineFilter::default()
    };
    let by_reason = QuarantineFilter {
        reason: Some(QuarantineReason::PossiblyStored),
        meter: Some("M-1".into()),
        ..QuarantineFilter::default()
    };
    for (name, arguments, expected) in [
        (
            "discard_quarantined",
            json!({ "id": 7 }),
            (by_id.clone(), false),
        ),
        (
            "requeue_quarantined",
            json!({ "id": 7, "reason": null }),
            (by_id, false),
        ),
        (
            "requeue_quarantined",
            json!({ "reason": "possibly_stored", "meter": "M-1", "accept_double": true }),
            (by_reason, true),
        ),
        (
            "discard_quarantined",
            json!({ "all": true }),
            (QuarantineFilter::default(), false),
        ),
    ] {
        let told = call(acting.clone(), name, arguments).await;
        assert_eq!(*answer(&told), json!(result), "{name}");
        assert_eq!(asked.lock().unwrap().pop(), Some(expected), "{name}");
    }
    for arguments in [
        json!({}),
        json!({ "id": 7, "all": true }),
        json!({ "meter": "M-1", "all": true }),
    ] {
        let told = call(acting.clone(), "discard_quarantined", arguments).await;
        problem(&told, "invalid-request");
    }
    assert!(asked.lock().unwrap().is_empty());
}

#[actix_web::test]
async fn a_double_is_only_risked_with_consent() {
    let acting = control(|parts| {
        parts.requeue_quarantined = answering(|_: RequeueQuarantined| {
            Ok(QuarantineActionResult {
                possibly_stored: 1,
                ..QuarantineActionResult::default()
            })
        });
    });
    let told = call(acting, "requeue_quarantined", json!({ "id": 7 })).await;
    let told = problem(&told, "possibly-stored");
    assert_eq!(told["detail"], ControlError::PossiblyStored.to_string());
}

#[actix_web::test]
async fn the_quarantine_is_listed_with_the_server_s_words() {
    let holding = control(|parts| {
        parts.store = Arc::new(FakeStore {
            quarantined: vec![quarantined(3)],
            ..FakeStore::default()
        });
    });
    let result = call(holding, "list_quarantine", json!({ "limit": 1 })).await;
    let page = answer(&result);
    assert_eq!(page["total"], 1);
    assert_eq!(page["items"][0]["message"], "unknown meter");
}

#[actix_web::test]
async fn parts_that_fail_are_told_as_such() {
    let failing = control(|parts| {
        parts.send_heartbeat =
            answering(|_| Err(CallFailure::Unreachable("connection refused".into())));
        parts.stop_sync = gone();
        parts.store = Arc::new(FakeStore {
            failure: Some(StoreError::Busy("locked".into())),
            ..FakeStore::default()
        });
    });
    for (name, kind) in [
        ("send_heartbeat", "client-system-offline"),
        ("stop_sync", "part-restarting"),
        ("get_sync_stats", "database-busy"),
        ("get_meter_status", "database-busy"),
    ] {
        problem(&call(failing.clone(), name, json!({})).await, kind);
    }
}

#[actix_web::test]
async fn an_unknown_meter_is_not_found() {
    let arguments = json!({ "meter_id": "M-9" });
    let result = call(control(|_| ()), "get_meter_status", arguments).await;
    let told = problem(&result, "not-found");
    assert!(told["detail"].as_str().unwrap().contains("M-9"));
}
