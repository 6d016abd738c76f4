//! Readings that come in by the local API: stored all or none, and once.

use awc::http::Method;
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::helpers::{Answered, Plan, Site, answered};

fn posted(count: usize) -> Value {
    let reading = |number| {
        json!({
            "meter_external_id": "M-posted",
            "timestamp": "2026-03-01T11:00:00.000Z",
            "data_point": "energy_total",
            "value": number,
        })
    };
    (0..count).map(reading).collect()
}

async fn post_with_key(site: &Site, key: &str, readings: &Value) -> Answered {
    let request = site.api().request(Method::POST, "/api/v1/readings");
    answered(
        request
            .insert_header(("Idempotency-Key", key))
            .send_json(readings),
    )
    .await
}

#[actix::test]
async fn readings_are_stored_all_or_none_and_a_repetition_is_harmless() {
    let site = Plan::default()
        .setting("enable_auto_sync", "false")
        .start(0)
        .await;
    let first = post_with_key(&site, "key-1", &posted(3)).await;
    assert_eq!((first.status, &first.body["stored"]), (201, &json!(3)));
    let again = post_with_key(&site, "key-1", &posted(3)).await;
    assert_eq!((again.status, &again.body["repeated"]), (200, &json!(true)));
    let other = post_with_key(&site, "key-1", &posted(4)).await;
    assert_eq!(other.problem(), "idempotency-key-reused", "{other:?}");
    let mut bad = posted(3);
    bad[1]["value"] = json!("a lot");
    let refused = site
        .api()
        .send(Method::POST, "/api/v1/readings", &bad)
        .await;
    assert_eq!(
        (refused.status, refused.problem()),
        (400, "invalid-readings"),
        "{refused:?}"
    );
    assert_eq!(site.database.pending().await, 3);
    let listed = site
        .api()
        .get("/api/v1/readings?meter=M-posted&hours=24&limit=2")
        .await;
    assert_eq!(listed.body["total"], 3, "{listed:?}");
    assert_eq!(listed.body["items"].as_array().map(Vec::len), Some(2));
    assert_eq!(
        site.api().get("/api/v1/readings?meter=nobody").await.body["total"],
        0
    );
    assert_eq!(site.pass().await.delivered, 3);
    site.finish().await;
}

#[actix::test]
async fn lines_of_json_are_stored_as_well() {
    let site = Plan::default()
        .setting("enable_auto_sync", "false")
        .start(0)
        .await;
    let lines: String = posted(3)
        .as_array()
        .into_iter()
        .flatten()
        .map(|reading| format!("{reading}\n"))
        .collect();
    let request = site.api().request(Method::POST, "/api/v1/readings");
    let stored = answered(
        request
            .insert_header(("Content-Type", "application/x-ndjson"))
            .send_body(lines),
    )
    .await;
    assert_eq!(
        (stored.status, &stored.body["stored"]),
        (201, &json!(3)),
        "{stored:?}"
    );
    assert_eq!(site.database.pending().await, 3);
    site.finish().await;
}

/// How often the database was asked to make something durable.
async fn commits(site: &Site) -> u64 {
    const NAME: &str = "meterit_sync_database_commit_duration_seconds_count ";
    let metrics = site.api().request(Method::GET, "/metrics").send();
    let metrics = metrics.await.expect("an answer").body().limit(1_000_000);
    let text = String::from_utf8(metrics.await.expect("a body").to_vec()).expect("text");
    let count = text.lines().find_map(|line| line.strip_prefix(NAME));
    count.expect("the metric").parse().expect("a number")
}

#[actix::test]
async fn one_that_is_refused_takes_nothing_from_those_that_are_written_with_it() {
    let site = Plan::default()
        .setting("enable_auto_sync", "false")
        .start(0)
        .await;
    assert_eq!(post_with_key(&site, "known", &posted(1)).await.status, 201);
    let before = commits(&site).await;
    let keys: Vec<String> = (0..24).map(|number| format!("key-{number}")).collect();
    let keys = keys.iter().enumerate().map(|(place, key)| {
        let is_refused = place % 6 == 5;
        if is_refused { "known" } else { key }
    });
    let readings = posted(2);
    let answers = join_all(keys.map(|key| post_with_key(&site, key, &readings))).await;
    for (place, answer) in answers.iter().enumerate() {
        let expected = if place % 6 == 5 { 409 } else { 201 };
        assert_eq!(answer.status, expected, "{place}: {answer:?}");
    }
    let made = commits(&site).await - before;
    assert!(made < 20, "nothing was written together: {made} commits");
    assert_eq!(site.database.pending().await, 1 + 20 * 2);
    site.finish().await;
}
