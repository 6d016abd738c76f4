//! What comes by itself: heartbeats, downloads of the configuration, and the readings of other programs.

use std::time::Duration;

use meterit_sync::{
    control::ControlError,
    demo::client_system::{FaultAction, FaultPath, FaultRule, ServedConfiguration, ServedMeter},
    domain::status::{Effective, State},
};
use serde_json::json;

use crate::helpers::{Plan, Site, answer, answer_with, on_batch};

fn meter(id: &str, name: &str) -> ServedMeter {
    ServedMeter {
        external_id: id.to_owned(),
        name: name.to_owned(),
        bacnet_device_id: Some(17),
        bacnet_ip: Some("10.0.0.7".to_owned()),
        config: Some(json!({"factor": 10})),
    }
}

fn serving(meters: &[(&str, &str)]) -> ServedConfiguration {
    ServedConfiguration {
        meters: meters.iter().map(|(id, name)| meter(id, name)).collect(),
        sync_interval_minutes: 7,
        batch_size: 123,
        meters_only: false,
    }
}

/// Id, name and activity of every meter.
async fn meters(site: &Site) -> Vec<String> {
    site.database
        .column("SELECT external_id || ' ' || name || ' ' || is_active AS it FROM meters ORDER BY external_id")
        .await
}

#[actix::test]
async fn meters_learn_of_readings_that_another_program_wrote() {
    let site = Plan::default().start_settled(0).await;
    site.database
        .execute("INSERT INTO meters (external_id, name) VALUES ('M-1', 'Main'), ('M-2', 'Other')")
        .await;
    // The seconds of the times are the numbers.
    site.database.insert_as("'M-1'", 1..9).await;
    site.database.insert_as("'M-1'", 3..4).await;
    site.database.insert_as("'unknown'", 50..60).await;
    site.pass().await;
    let meters = site.api().get("/api/v1/meters").await.body;
    assert_eq!(
        meters["items"][0]["last_reading_at"],
        "2026-03-01T00:00:08.000Z"
    );
    assert!(meters["items"][1]["last_reading_at"].is_null(), "{meters}");
    site.finish().await;
}

/// One look that finds nothing has the next change told, and one more trusts in that. More time passes than these take, since
/// a look goes on while the clock moves.
async fn come_to_rest(site: &Site) {
    for _ in 0..12 {
        site.clock.advance(Duration::from_secs(2));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    site.at_rest_with(0).await;
}

#[actix::test]
async fn what_another_program_inserts_is_noticed_before_the_next_look() {
    let site = Plan::default().start_settled(0).await;
    come_to_rest(&site).await;
    for round in 1..=3 {
        let ids = 10 * round;
        site.database.insert(ids..ids + 5).await;
        // What is told before it can be seen is looked for once more. Then time stands still, and with it the looks.
        site.clock.advance(Duration::from_millis(250));
        site.until("the insert is noticed", |status| {
            status.queue.pending == 5 || status.sync.total_synced == 5 * round
        })
        .await;
        site.pass().await;
        come_to_rest(&site).await;
    }
    site.finish().await;
}

#[actix::test]
async fn readings_that_do_not_say_when_they_came_are_as_old_as_they_were_seen_to_be() {
    // Nothing, and the time of another zone or of a clock that is ahead.
    for created_at in ["NULL", "'2026-03-01 21:00:00'"] {
        let site = Plan::default()
            .setting("sync_interval_minutes", "1")
            .fault(on_batch(answer(503, "{}")))
            .start_settled(0)
            .await;
        let insert = format!(
            "INSERT INTO meter_readings (meter_external_id, timestamp, data_point, value, created_at) \
             VALUES ('M', '2026-03-01 00:00:00', 'energy_total', 1, {created_at})"
        );
        site.database.execute(&insert).await;
        let inserted_at = site.clock.now();
        site.advance_until("it waits for too long", Duration::from_secs(2), || {
            site.status().state == State::Degraded
        })
        .await;
        let status = site.status();
        let oldest = status.queue.oldest_pending_at.expect(created_at);
        assert!(oldest.0 >= inserted_at, "{status:?}");
        let took = site.clock.now() - oldest.0;
        assert!(took.num_seconds() < 600, "{took}");
        site.finish().await;
    }
}

#[actix::test]
async fn a_heartbeat_tells_how_the_site_fares() {
    let site = Plan::default()
        .setting("enable_auto_sync", "false")
        .start(3)
        .await;
    site.advance_until("the queue is counted", Duration::from_millis(500), || {
        site.status().queue.pending == 3 && site.status().connectivity.is_connected
    })
    .await;
    let told = site.control().send_heartbeat().await.expect("a heartbeat");
    let body = site.simulator.heartbeats().pop().expect("a heartbeat").body;
    assert_eq!(body["status"], "ok", "{body}");
    assert_eq!(body["queue_size"], 3, "{body}");
    assert_eq!(body["version"], env!("CARGO_PKG_VERSION"), "{body}");
    assert_eq!(body["uptime"], site.status().uptime_s, "{body}");
    let collected = body["last_collection"].as_str().unwrap_or_default();
    assert!(
        collected.ends_with('Z') && collected.contains('T'),
        "{body}"
    );
    assert_eq!(told.server_time, Some(site.clock.now().into()));
    assert_eq!(told.consecutive_failures, 0);
    site.finish().await;
}

#[actix::test]
async fn heartbeats_that_are_not_accepted_are_told_and_after_ten_minutes_need_attention() {
    let site = Plan::default()
        .setting("heartbeat_interval_ms", "60000")
        .start_settled(0)
        .await;
    let refusing = FaultRule::on(
        FaultPath::Heartbeat,
        answer(404, r#"{"message":"no such site"}"#),
    );
    site.simulator.set_faults(vec![refusing]);
    let error = "(the Client System answered 404: no such site)";
    for failures in 1..=12 {
        site.clock.advance(Duration::from_secs(60));
        site.until("a failure", |status| {
            status.heartbeat.consecutive_failures == failures
        })
        .await;
        let status = site.status();
        let expected = if failures < 12 {
            State::Ok
        } else {
            State::Degraded
        };
        assert_eq!(status.state, expected, "{failures}: {}", status.reason);
        assert!(status.reason.contains(error), "{}", status.reason);
    }
    let status = site.status();
    assert_eq!(Some(status.since), status.heartbeat.failing_since);
    site.simulator.clear_faults();
    site.clock.advance(Duration::from_secs(60));
    site.until("all to be well", |status| {
        status.state == State::Ok && status.reason == "All readings are uploaded."
    })
    .await;
    site.finish().await;
}

#[actix::test]
async fn a_clock_that_is_wrong_is_told_with_the_next_heartbeat_and_until_it_is_right() {
    let site = Plan::default().start_settled(0).await;
    let theirs = site.clock.now() + chrono::TimeDelta::minutes(90);
    let body = json!({"success": true, "server_time": theirs.to_rfc3339()}).to_string();
    let ahead = FaultRule::on(FaultPath::Heartbeat, answer(200, &body));
    site.simulator.set_faults(vec![ahead]);
    site.control().send_heartbeat().await.expect("a heartbeat");
    let status = site.status();
    assert_eq!(status.state, State::Ok);
    let told = "All readings are uploaded. Besides, this machine's clock is 1 h 30 min behind that of the Client System";
    assert!(status.reason.starts_with(told), "{}", status.reason);
    site.simulator.clear_faults();
    site.control().send_heartbeat().await.expect("a heartbeat");
    assert_eq!(site.status().reason, "All readings are uploaded.");
    site.finish().await;
}

#[actix::test]
async fn a_heartbeat_that_is_held_is_no_refusal() {
    let site = Plan::default()
        .setting("heartbeat_interval_ms", "60000")
        .start_settled(0)
        .await;
    let before = site.status().heartbeat;
    let pausing = FaultRule::on(FaultPath::Heartbeat, answer_with(503, "Retry-After", "90"));
    site.simulator.set_faults(vec![pausing]);
    // One that is answered with a wish for a pause, and others that are not sent because of it.
    for _ in 0..4 {
        site.clock.advance(Duration::from_secs(60));
        site.at_rest_with(0).await;
        let refused = site.control().send_heartbeat().await;
        assert!(
            matches!(refused, Err(ControlError::Held { .. })),
            "{refused:?}"
        );
        let status = site.status();
        assert_eq!(status.state, State::RateLimited, "{}", status.reason);
        assert_eq!(status.heartbeat.consecutive_failures, 0);
        assert_eq!(status.heartbeat.last_error, None);
        assert_eq!(status.heartbeat.last_attempt_at, before.last_attempt_at);
    }
    site.simulator.clear_faults();
    site.advance_until("a heartbeat", Duration::from_secs(10), || {
        site.status().heartbeat.last_success_at > before.last_success_at
    })
    .await;
    site.finish().await;
}

#[actix::test]
async fn heartbeats_come_at_their_interval_and_a_refused_one_is_told() {
    let site = Plan::default()
        .setting("heartbeat_interval_ms", "60000")
        .start_settled(0)
        .await;
    let before = site.simulator.heartbeats().len();
    for beat in 1..=5 {
        site.clock.advance(Duration::from_secs(60));
        let now = Some(site.clock.now().into());
        site.until("a heartbeat", |status| {
            status.heartbeat.last_success_at == now
        })
        .await;
        assert_eq!(site.simulator.heartbeats().len(), before + beat);
        site.at_rest_with(0).await;
    }
    site.simulator
        .add_fault(FaultRule::on(FaultPath::Heartbeat, answer(500, "no")));
    let refused = site.control().send_heartbeat().await;
    assert!(matches!(refused, Err(ControlError::Call(_))), "{refused:?}");
    let status = site.status().heartbeat;
    assert_eq!(status.consecutive_failures, 1);
    assert!(status.last_error.is_some_and(|words| words.contains("500")));
    assert!(status.last_success_at.is_some());
    site.finish().await;
}

#[actix::test]
async fn a_download_adds_changes_and_deactivates_meters() {
    let site = Plan::default()
        .client_system(|options| {
            options.configuration = serving(&[("A", "first"), ("B", "second")])
        })
        .start_settled(0)
        .await;
    assert_eq!(meters(&site).await, ["A first 1", "B second 1"]);
    let details = site
        .database
        .column(
            "SELECT bacnet_device_id || ' ' || bacnet_ip || ' ' || json_extract(config, '$.factor') AS it
             FROM meters WHERE external_id = 'A'",
        )
        .await;
    assert_eq!(details, ["17 10.0.0.7 10"]);
    site.simulator
        .set_configuration(serving(&[("B", "renamed"), ("C", "third")]));
    site.control().download_config().await.expect("a download");
    assert_eq!(
        meters(&site).await,
        ["A first 0", "B renamed 1", "C third 1"]
    );
    site.simulator.set_configuration(serving(&[("A", "back")]));
    site.control().download_config().await.expect("a download");
    assert_eq!(
        meters(&site).await,
        ["A back 1", "B renamed 0", "C third 0"]
    );
    site.simulator.set_configuration(ServedConfiguration {
        meters_only: true,
        ..serving(&[("C", "the older version")])
    });
    site.control().download_config().await.expect("a download");
    assert_eq!(
        meters(&site).await,
        ["A back 0", "B renamed 0", "C the older version 1"]
    );
    site.finish().await;
}

#[actix::test]
async fn an_empty_list_of_meters_deactivates_nobody() {
    let site = Plan::default()
        .client_system(|options| options.configuration = serving(&[("A", "first")]))
        .start_settled(0)
        .await;
    site.simulator.set_configuration(serving(&[]));
    // Whether this counts as a bad download or as an empty one is not what matters here.
    drop(site.control().download_config().await);
    assert_eq!(meters(&site).await, ["A first 1"]);
    site.finish().await;
}

#[actix::test]
async fn a_bad_download_keeps_the_last_good_configuration() {
    let site = Plan::default()
        .unset("sync_interval_minutes")
        .client_system(|options| options.configuration = serving(&[("A", "first")]))
        .start_settled(0)
        .await;
    let good = site.status().config;
    site.simulator
        .set_configuration(serving(&[("B", "never seen")]));
    for action in [
        answer(500, ""),
        answer(404, "<html>"),
        answer(200, "[]"),
        answer(200, "{}"),
        answer(200, r#"{"success":false,"message":"no"}"#),
        answer(200, r#"{"success":true,"config":{"meters":"none"}}"#),
        answer(
            200,
            r#"{"success":true,"config":{"meters":[{"name":"no id"}]}}"#,
        ),
        FaultAction::Garbage,
        FaultAction::Truncate { keep_bytes: 20 },
        FaultAction::Reset,
    ] {
        let name = format!("{action:?}");
        site.simulator
            .set_faults(vec![FaultRule::on(FaultPath::Config, action)]);
        assert!(site.control().download_config().await.is_err(), "{name}");
        assert_eq!(meters(&site).await, ["A first 1"], "{name}");
        let status = site.status().config;
        assert!(status.last_error.is_some(), "{name}");
        assert_eq!(status.last_success_at, good.last_success_at, "{name}");
        assert_eq!(
            status.sync_interval_minutes, good.sync_interval_minutes,
            "{name}"
        );
    }
    site.finish().await;
}

#[actix::test]
async fn wishes_for_interval_and_batch_size_apply_unless_pinned() {
    for pinned in [false, true] {
        let mut plan = Plan::default()
            .unset("sync_interval_minutes")
            .client_system(|options| options.configuration = serving(&[("A", "first")]));
        if pinned {
            plan = plan.setting("sync_interval_minutes", "60").batch_size(40);
        }
        let mut site = plan.start_settled(200).await;
        assert_wishes(&site, pinned).await;
        site.stop_service().await;
        // Without a link, the wishes of the last good configuration are remembered.
        site.simulator.set_down(true);
        site.start_service().await;
        site.until("the schedule", |status| {
            status.config.sync_interval_minutes.value > 0
        })
        .await;
        assert_schedule(&site, pinned);
        site.finish().await;
    }
}

async fn assert_wishes(site: &Site, pinned: bool) {
    site.until("the wishes have arrived", |status| {
        status.config.batch_size.wanted.is_some()
    })
    .await;
    assert_schedule(site, pinned);
    site.pass().await;
    let sizes: Vec<usize> = site.batches().iter().map(|batch| batch.readings).collect();
    let expected: &[usize] = if pinned { &[40; 5] } else { &[123, 77] };
    assert_eq!(sizes, expected);
}

fn assert_schedule(site: &Site, pinned: bool) {
    let config = site.status().config;
    let (minutes, size) = if pinned { (60, 40) } else { (7, 123) };
    assert_eq!(
        config.sync_interval_minutes,
        Effective {
            value: minutes,
            pinned,
            wanted: Some(7)
        }
    );
    assert_eq!(
        config.batch_size,
        Effective {
            value: size,
            pinned,
            wanted: Some(123)
        }
    );
}

#[actix::test]
async fn the_wished_interval_is_the_one_that_passes_keep() {
    let site = Plan::default()
        .unset("sync_interval_minutes")
        .client_system(|options| options.configuration = serving(&[("A", "first")]))
        .start_settled(0)
        .await;
    site.until("the wishes have arrived", |status| {
        status.config.sync_interval_minutes.value == 7
    })
    .await;
    let first = site.status().last_pass.expect("a pass").id;
    for pass in 1..=10 {
        site.clock.advance(Duration::from_secs(7 * 60));
        site.at_rest_with(0).await;
        site.pass_ended(first + pass).await;
        assert_eq!(site.status().last_pass.expect("a pass").id, first + pass);
        site.at_rest_with(0).await;
    }
    site.finish().await;
}
