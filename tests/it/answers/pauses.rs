//! 429, and 503 with Retry-After: all calls of any kind wait until then.

use std::time::Duration;

use meterit_sync::{
    control::ControlError,
    demo::client_system::{FaultAction, RateLimit},
    domain::{pass::PassEnd, status::State},
};

use crate::helpers::{Plan, Site, answer, answer_with, on_batch};

/// Every kind of call is due every few seconds, so that silence is the service's own doing.
fn talkative() -> Plan {
    Plan::default()
        .setting("heartbeat_interval_ms", "1000")
        .setting("connectivity_check_interval_ms", "1000")
        .setting("config_download_interval_minutes", "1")
        .setting("sync_interval_minutes", "1")
}

struct Case {
    name: &'static str,
    action: FaultAction,
    seconds: u64,
}

#[actix::test]
async fn no_call_of_any_kind_is_made_before_the_time_that_the_server_names() {
    for case in [
        Case {
            name: "429 with seconds",
            action: answer_with(429, "Retry-After", "120"),
            seconds: 120,
        },
        Case {
            name: "503 with seconds",
            action: answer_with(503, "Retry-After", "61"),
            seconds: 61,
        },
        Case {
            name: "429 with a date",
            action: answer_with(429, "Retry-After", "Sun, 01 Mar 2026 12:10:00 GMT"),
            seconds: 600,
        },
        Case {
            name: "a wish beyond an hour",
            action: answer_with(429, "Retry-After", "86400"),
            seconds: 3600,
        },
    ] {
        silence(case).await;
    }
}

async fn silence(case: Case) {
    let name = case.name;
    let site = talkative()
        .fault(on_batch(case.action).times(1))
        .start_settled(5)
        .await;
    let report = site.pass().await;
    let until = site.clock.now() + Duration::from_secs(case.seconds);
    assert_eq!(
        report.end,
        PassEnd::Held {
            until: until.into()
        },
        "{name}"
    );
    assert_held(&site, until.into(), name).await;
    let before = site.requests();
    // Many small steps: every timer of every part comes due, and asks for its call.
    for _ in 0..99 {
        site.clock.advance(Duration::from_secs(case.seconds) / 100);
        site.at_rest_with(1).await;
    }
    assert_eq!(site.requests(), before, "{name}");
    site.advance_until_drained(Duration::from_millis(500)).await;
    let ledger = site.simulator.ledger();
    assert_eq!((ledger.keys, ledger.readings_stored), (1, 5), "{name}");
    let sent_again = site.batches()[1].at;
    assert!(sent_again >= until, "{name}: {sent_again}");
    // A server that fails may have stored the batch before; one that limits the rate has not looked at it.
    let doubtful = u64::from(name.starts_with("503"));
    assert_eq!(
        site.status().queue.possibly_doubled_uploads,
        doubtful,
        "{name}"
    );
    site.finish().await;
}

async fn assert_held(site: &Site, until: meterit_sync::domain::timestamp::Timestamp, name: &str) {
    site.until(name, |status| status.state == State::RateLimited)
        .await;
    let status = site.status();
    assert_eq!(status.connectivity.held_until, Some(until), "{name}");
    let before = site.requests();
    let control = site.control();
    for (what, answer) in [
        ("check", control.check_connectivity().await.map(drop)),
        ("heartbeat", control.send_heartbeat().await.map(drop)),
        ("configuration", control.download_config().await.map(drop)),
        ("trigger", control.trigger_sync().await.map(drop)),
    ] {
        let held = matches!(&answer, Err(ControlError::Held { until: told, .. }) if *told == until);
        assert!(held, "{name}, {what}: {answer:?}");
    }
    let checked = site.api().post("/api/v1/connectivity/check").await;
    assert_eq!(checked.problem(), "client-system-held", "{checked:?}");
    let told = checked.body["detail"].as_str().unwrap_or_default();
    assert!(told.contains(&until.to_string()), "{checked:?}");
    assert_eq!(site.requests(), before, "{name}");
}

#[actix::test]
async fn a_pause_is_remembered_over_a_restart() {
    let mut site = talkative()
        .fault(on_batch(answer_with(429, "Retry-After", "900")).times(1))
        .start_settled(5)
        .await;
    site.pass().await;
    let until = site.status().connectivity.held_until.expect("a pause");
    let before = site.requests();
    site.stop_service().await;
    site.start_service().await;
    assert_held(&site, until, "after the restart").await;
    for _ in 0..89 {
        site.clock.advance(Duration::from_secs(10));
        site.at_rest_with(1).await;
    }
    assert_eq!(site.requests(), before);
    site.advance_until_drained(Duration::from_millis(500)).await;
    let ledger = site.simulator.ledger();
    assert_eq!((ledger.keys, ledger.readings_stored), (1, 5));
    site.finish().await;
}

#[actix::test]
async fn a_short_pause_is_waited_for_within_the_pass() {
    let site = talkative()
        .fault(on_batch(answer_with(429, "Retry-After", "30")).times(1))
        .start_settled(5)
        .await;
    let noted = site.clock.now();
    let id = site.control().trigger_sync().await.expect("a pass");
    site.until("rate limited", |status| status.state == State::RateLimited)
        .await;
    site.advance_until_drained(Duration::from_millis(100)).await;
    assert_eq!(site.delivered_by(id), Some(5));
    let batches = site.batches();
    assert_eq!((batches.len(), batches[0].key == batches[1].key), (2, true));
    assert!(batches[1].at >= noted + Duration::from_secs(30));
    site.finish().await;
}

#[actix::test]
async fn without_a_time_the_backoff_of_server_faults_applies() {
    let site = Plan::default()
        .fault(on_batch(answer(429, "<html>Too many</html>")).times(6))
        .start_settled(5)
        .await;
    let id = site.control().trigger_sync().await.expect("a pass");
    site.eventually("the first sending", || site.batches().len() == 1)
        .await;
    for (sendings, pause) in [2, 4, 8, 16, 32].into_iter().enumerate() {
        site.pause_of(Duration::from_secs(pause), sendings + 1)
            .await;
    }
    site.pass_ended(id).await;
    assert_eq!(site.batches().len(), 6);
    assert_eq!(site.database.pending().await, 5);
    let report = site.pass().await;
    assert_eq!(report.delivered, 5);
    let ledger = site.simulator.ledger();
    assert_eq!((ledger.keys, ledger.readings_stored), (1, 5));
    site.finish().await;
}

#[actix::test]
async fn the_deployed_limit_is_kept_and_a_backlog_arrives_nevertheless() {
    let window = Duration::from_secs(900);
    let site = Plan::default()
        .batch_size(1)
        .client_system(|options| {
            options.rate_limit = Some(RateLimit {
                requests: 10,
                window,
            })
        })
        .start(25)
        .await;
    site.advance_until_drained(Duration::from_secs(5)).await;
    let ledger = site.simulator.ledger();
    assert_eq!((ledger.readings_stored, ledger.distinct_readings), (25, 25));
    // At most one refused call in each of the three windows.
    assert!(site.requests() <= 25 + 3 + 6, "{ledger:#?}");
    site.finish().await;
}
