//! Readings set aside: corrected, re-queued, discarded, and what the audit keeps of it.

use awc::http::Method;
use meterit_sync::demo::client_system::{FaultAction, Naming, PartialFault, Rollback};
use serde_json::{Value, json};

use crate::helpers::{Plan, Site, on_batch};

async fn with_refused_meter(readings: u64) -> Site {
    let site = Plan::default()
        .fault(
            on_batch(FaultAction::Refuse {
                naming: Naming::Every,
            })
            .containing_meter("M-1"),
        )
        .start_settled(readings)
        .await;
    let report = site.pass().await;
    assert_eq!((report.delivered, report.quarantined), (readings - 1, 1));
    site
}

async fn entries(site: &Site) -> Vec<Value> {
    let listed = site.api().get("/api/v1/quarantine").await;
    assert_eq!(listed.status, 200, "{listed:?}");
    listed.body["items"].as_array().cloned().unwrap_or_default()
}

async fn audit(site: &Site) -> Vec<String> {
    site.database
        .column("SELECT action AS it FROM quarantine_audit ORDER BY id")
        .await
}

#[actix::test]
async fn corrected_and_requeued_it_arrives() {
    let site = with_refused_meter(5).await;
    let listed = entries(&site).await;
    assert_eq!(listed.len(), 1);
    let entry = &listed[0];
    assert_eq!(
        (
            &entry["reason"],
            &entry["status"],
            &entry["meter_external_id"]
        ),
        (&json!("refused"), &json!(400), &json!("M-1"))
    );
    assert_eq!(entry["quarantined_at"], "2026-03-01T12:00:00.000Z");
    assert!(
        entry["message"]
            .as_str()
            .is_some_and(|words| words.contains("readings[1]")),
        "{entry}"
    );
    let path = format!("/api/v1/quarantine/{}", entry["id"]);
    let correction = json!({"meter_external_id": "M-right", "value": 42.5});
    let corrected = site.api().send(Method::PATCH, &path, &correction).await;
    assert_eq!(
        (corrected.status, &corrected.body["value"]),
        (200, &json!("42.5")),
        "{corrected:?}"
    );
    let requeued = site.api().post(&format!("{path}/requeue")).await;
    assert_eq!(requeued.status, 200, "{requeued:?}");
    assert!(entries(&site).await.is_empty());
    assert_eq!(site.pass().await.delivered, 1);
    let stored = site.simulator.stored_readings();
    assert!(
        stored
            .iter()
            .any(|reading| reading.meter == "M-right" && reading.value == "42.5"),
        "{stored:?}"
    );
    assert_eq!(audit(&site).await, ["quarantined", "corrected", "requeued"]);
    site.finish().await;
}

#[actix::test]
async fn discarded_it_is_gone_and_the_audit_says_what_it_was() {
    let site = with_refused_meter(5).await;
    let id = entries(&site).await[0]["id"].clone();
    let discarded = site.api().delete(&format!("/api/v1/quarantine/{id}")).await;
    assert_eq!(discarded.status, 200, "{discarded:?}");
    assert!(entries(&site).await.is_empty());
    assert_eq!(site.pass().await.requests, 0);
    assert_eq!(audit(&site).await, ["quarantined", "discarded"]);
    let kept = "quarantine_audit WHERE action = 'discarded' AND details LIKE '%M-1%'";
    assert_eq!(site.database.count(kept).await, 1);
    let missing = site.api().delete(&format!("/api/v1/quarantine/{id}")).await;
    assert_eq!((missing.status, missing.problem()), (404, "not-found"));
    site.finish().await;
}

#[actix::test]
async fn a_whole_selection_is_requeued_or_discarded() {
    let site = with_refused_meter(3).await;
    site.database
        .execute(
            "INSERT INTO meter_readings (meter_external_id, timestamp, data_point, value)
             VALUES ('M-x', 'yesterday', 'energy_total', 1), ('M-y', 'tomorrow', 'energy_total', 1)",
        )
        .await;
    site.pass().await;
    assert_eq!(entries(&site).await.len(), 3);
    let discarded = site
        .api()
        .delete("/api/v1/quarantine?reason=unreadable")
        .await;
    assert_eq!(discarded.status, 200, "{discarded:?}");
    assert_eq!(entries(&site).await.len(), 1);
    site.simulator.clear_faults();
    let requeued = site
        .api()
        .post("/api/v1/quarantine/requeue?meter=M-1")
        .await;
    assert_eq!(requeued.status, 200, "{requeued:?}");
    assert_eq!(site.pass().await.delivered, 1);
    let careless = site.api().delete("/api/v1/quarantine").await;
    assert_eq!(
        (careless.status, careless.problem()),
        (400, "invalid-request"),
        "{careless:?}"
    );
    site.finish().await;
}

#[actix::test]
async fn what_is_possibly_stored_returns_only_when_someone_accepts_a_double() {
    let fault = PartialFault {
        rows: vec![0],
        hide_errors: true,
        rollback: Some(Rollback::Savepoint),
        ..PartialFault::default()
    };
    let site = Plan::default()
        .fault(on_batch(FaultAction::Partial(fault)).times(1))
        .start_settled(2)
        .await;
    site.pass().await;
    let listed = entries(&site).await;
    assert_eq!(listed.len(), 2);
    assert_eq!(listed[0]["reason"], "possibly_stored");
    for entry in &listed {
        let path = format!("/api/v1/quarantine/{}/requeue", entry["id"]);
        let refused = site.api().post(&path).await;
        assert_eq!(
            (refused.status, refused.problem()),
            (409, "possibly-stored"),
            "{refused:?}"
        );
        let accepted = site.api().post(&format!("{path}?accept_double=true")).await;
        assert_eq!(accepted.status, 200, "{accepted:?}");
    }
    site.pass().await;
    site.drained().await;
    assert_eq!(site.simulator.ledger().distinct_readings, 2);
    site.finish().await;
}

#[actix::test]
async fn an_unreadable_row_returns_once_it_is_corrected() {
    let site = Plan::default().start_settled(0).await;
    site.database
        .execute(
            "INSERT INTO meter_readings (meter_external_id, timestamp, data_point, value)
             VALUES ('M-x', 'yesterday', 'energy_total', 'a lot')",
        )
        .await;
    site.pass().await;
    let id = entries(&site).await[0]["id"].clone();
    let path = format!("/api/v1/quarantine/{id}");
    let early = site.api().post(&format!("{path}/requeue")).await;
    assert_eq!(early.problem(), "unreadable", "{early:?}");
    let correction = json!({"timestamp": "2026-02-28T10:00:00.000Z", "value": 7});
    let corrected = site.api().send(Method::PATCH, &path, &correction).await;
    assert_eq!(corrected.status, 200, "{corrected:?}");
    assert_eq!(
        site.api().post(&format!("{path}/requeue")).await.status,
        200
    );
    assert_eq!(site.pass().await.delivered, 1);
    assert_eq!(site.simulator.stored_readings()[0].value, "7");
    site.finish().await;
}
