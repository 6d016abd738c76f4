//! The one truth about the link: when an outage begins and ends, and what counts as evidence.

use std::time::Duration;

use meterit_sync::{
    demo::client_system::{FaultAction, FaultPath, FaultRule},
    domain::{connectivity::LinkChange, event::EventKind, status::State},
};

use crate::helpers::{Plan, Site, answer, answer_with};

const STEP: Duration = Duration::from_millis(100);

fn health_checks(site: &Site) -> u64 {
    let requests = site.simulator.ledger().requests;
    requests.get("/api/health").copied().unwrap_or(0)
}

/// The changes of the link that were told, oldest first.
fn changes(site: &Site) -> Vec<LinkChange> {
    let events = site.status().recent_events;
    let changes = events.iter().rev().filter_map(|event| match &event.kind {
        EventKind::Link { change, .. } => Some(*change),
        _ => None,
    });
    changes.collect()
}

#[actix::test]
async fn an_outage_begins_with_a_refused_request_and_ends_within_seconds() {
    let site = Plan::default().start_settled(5).await;
    let checks = health_checks(&site);
    site.simulator.set_down(true);
    site.clock.advance(Duration::from_secs(1));
    let refused_at = site.clock.now();
    site.pass().await;
    let status = site.status();
    assert_eq!(status.state, State::Offline);
    assert_eq!(status.since, refused_at.into(), "not at the next check");
    assert_eq!(health_checks(&site), checks, "no check was needed to know");
    let link = status.connectivity;
    assert!(
        !link.is_connected
            && link
                .last_error
                .is_some_and(|words| words.contains("refused"))
    );
    assert_eq!(link.last_failed_connection, Some(refused_at.into()));

    site.advance_until("probes go out", STEP, || {
        site.status().connectivity.consecutive_failures >= 3
    })
    .await;
    let failures_until = site.clock.now() - refused_at;
    assert!(failures_until.num_seconds() <= 5, "{failures_until}");
    assert_eq!(
        site.status().connectivity.downtime,
        failures_until.num_seconds().unsigned_abs()
    );

    site.simulator.set_down(false);
    let back_at = site.clock.now();
    site.advance_until_drained(STEP).await;
    let took = site.clock.now() - back_at;
    assert!(took.num_seconds() <= 10, "{took}");
    assert_eq!(site.status().state, State::Ok);
    use LinkChange::{Connected, Disconnected};
    assert_eq!(changes(&site), [Connected, Disconnected, Connected]);
    site.finish().await;
}

#[actix::test]
async fn whoever_answers_is_connected_and_called_well_only_if_it_is() {
    let ill = |status, body| FaultRule::on(FaultPath::Health, answer(status, body)).times(1);
    let site = Plan::default().start_settled(0).await;
    for (rule, words) in [
        (
            ill(503, r#"{"message":"no database"}"#),
            "its health check says 503 (no database)",
        ),
        (
            ill(302, ""),
            "its health check says 302 (a redirect that does not say where to)",
        ),
        (ill(404, ""), "its health check says 404"),
        (
            ill(200, "<html>Please log in</html>"),
            "its health check says 200 with a page that no Client System has (Please log in)",
        ),
    ] {
        site.simulator.set_faults(vec![rule]);
        let link = site.control().check_connectivity().await.expect("a check");
        assert!(link.is_connected, "{words}");
        assert_eq!(link.trouble.as_deref(), Some(words));
        let status = site.status();
        assert_eq!(status.state, State::Ok);
        let told = format!("the Client System answers, but {words}");
        assert!(status.reason.contains(&told), "{}", status.reason);
    }
    // That another call is answered as it should be says nothing about the health check; the next one does.
    site.control().send_heartbeat().await.expect("a heartbeat");
    site.pass().await;
    assert!(site.status().connectivity.trouble.is_some());
    site.control().check_connectivity().await.expect("a check");
    let status = site.status();
    assert_eq!(status.connectivity.trouble, None);
    assert_eq!(status.reason, "All readings are uploaded.");
    assert_eq!(changes(&site), [LinkChange::Connected]);
    site.finish().await;
}

#[actix::test]
async fn trouble_with_trying_the_key_ends_with_a_call_that_shows_it() {
    let site = Plan::default().start_settled(1).await;
    site.simulator.set_faults(vec![
        FaultRule::on(FaultPath::Batch, answer(401, "no")),
        FaultRule::on(FaultPath::Auth, answer(502, "Bad Gateway")),
    ]);
    site.pass().await;
    assert_eq!(site.status().state, State::Unauthorized);
    let told = "it says 502 to /sync/auth (Bad Gateway)";
    site.advance_until("the key to be tried", Duration::from_secs(1), || {
        site.status().connectivity.trouble.as_deref() == Some(told)
    })
    .await;
    site.simulator.clear_faults();
    site.pass().await;
    let status = site.status();
    assert_eq!(status.connectivity.trouble, None);
    assert_eq!(status.reason, "All readings are uploaded.");
    site.finish().await;
}

#[actix::test]
async fn a_health_check_that_is_not_well_is_asked_again_whatever_else_is_answered() {
    let site = Plan::default()
        .setting("connectivity_check_interval_ms", "60000")
        .setting("heartbeat_interval_ms", "10000")
        .start_settled(0)
        .await;
    let ill = FaultRule::on(
        FaultPath::Health,
        answer(503, r#"{"message":"no database"}"#),
    );
    site.simulator.set_faults(vec![ill]);
    site.control().check_connectivity().await.expect("a check");
    let told = "the Client System answers, but its health check says 503 (no database).";
    for _ in 0..30 {
        site.clock.advance(Duration::from_secs(10));
        site.at_rest_with(0).await;
        let reason = site.status().reason;
        assert!(reason.ends_with(told), "{reason}");
    }
    let checks = health_checks(&site);
    site.simulator.clear_faults();
    site.advance_until("the next check", Duration::from_secs(10), || {
        site.status().reason == "All readings are uploaded."
    })
    .await;
    assert_eq!(health_checks(&site), checks + 1);
    site.finish().await;
}

#[actix::test]
async fn the_pauses_between_probes_double_up_to_the_interval() {
    let site = Plan::default()
        .setting("connectivity_check_interval_ms", "8000")
        .down()
        .start(0)
        .await;
    let failures = || site.status().connectivity.consecutive_failures;
    // Whoever else calls at the start is refused as well, so the count begins where they leave off.
    site.at_rest_with(0).await;
    let first = failures();
    assert!(first >= 1);
    for probe in first..first + 6 {
        let pause = Duration::from_secs(8.min(1 << (probe - 1)));
        site.at_rest_with(0).await;
        site.clock.advance(pause - Duration::from_millis(1));
        site.at_rest_with(0).await;
        assert_eq!(failures(), probe, "not before {pause:?}");
        site.clock
            .advance(pause.mul_f64(0.2) + Duration::from_millis(2));
        site.eventually("the probe", || failures() == probe + 1)
            .await;
    }
    site.finish().await;
}

#[actix::test]
async fn an_answer_to_any_other_call_spares_the_health_check() {
    let site = Plan::default()
        .setting("connectivity_check_interval_ms", "60000")
        .setting("heartbeat_interval_ms", "30000")
        .start_settled(0)
        .await;
    let (checks, beats) = (health_checks(&site), site.simulator.heartbeats().len());
    for beat in 1..=20 {
        site.clock.advance(Duration::from_secs(30));
        let now = Some(site.clock.now().into());
        site.eventually("a heartbeat", || {
            site.simulator.heartbeats().len() == beats + beat
        })
        .await;
        site.until("its evidence", |status| {
            status.connectivity.last_check_time == now
        })
        .await;
        site.at_rest_with(0).await;
    }
    assert_eq!(health_checks(&site), checks);
    site.finish().await;
}

#[actix::test]
async fn without_other_calls_the_link_is_checked_every_interval() {
    let site = Plan::default()
        .setting("connectivity_check_interval_ms", "60000")
        .start_settled(0)
        .await;
    let checks = health_checks(&site);
    for check in 1..=10 {
        site.clock.advance(Duration::from_millis(59_999));
        site.at_rest_with(0).await;
        assert_eq!(health_checks(&site), checks + check - 1);
        site.clock.advance(Duration::from_millis(1));
        let now = Some(site.clock.now().into());
        site.until("a check", |status| {
            status.connectivity.last_check_time == now
        })
        .await;
        assert_eq!(health_checks(&site), checks + check);
        site.at_rest_with(0).await;
    }
    site.finish().await;
}

#[actix::test]
async fn whatever_a_health_check_is_answered_the_link_is_up() {
    for action in [
        answer(401, ""),
        answer(404, "<html>"),
        answer(500, ""),
        answer(200, r#"{"status":"Degraded"}"#),
        answer_with(429, "X-RateLimit-Limit", "100"),
    ] {
        let site = Plan::default()
            .client_system(|options| {
                options.faults = vec![FaultRule::on(FaultPath::Health, action)]
            })
            .start_settled(0)
            .await;
        let link = site.control().check_connectivity().await.expect("a check");
        assert!(link.is_connected);
        assert_eq!(link.consecutive_failures, 0);
        site.finish().await;
    }
}

#[actix::test]
async fn a_server_that_accepts_and_never_answers_is_down_when_its_health_check_hangs_too() {
    let site = Plan::default()
        .setting("api_timeout", "1000")
        .start_settled(5)
        .await;
    site.simulator
        .add_fault(FaultRule::on(FaultPath::Any, FaultAction::Hang));
    site.control().trigger_sync().await.expect("a pass");
    site.until("offline", |status| status.state == State::Offline)
        .await;
    site.simulator.clear_faults();
    site.advance_until_drained(STEP).await;
    let ledger = site.simulator.ledger();
    assert_eq!((ledger.distinct_readings, ledger.keys), (5, 1));
    site.finish().await;
}

#[actix::test]
async fn an_outage_of_days_loses_nothing() {
    let site = Plan::default()
        .batch_size(50)
        .setting("connectivity_check_interval_ms", "60000")
        .setting("heartbeat_interval_ms", "60000")
        .setting("sync_interval_minutes", "5")
        .start_settled(100)
        .await;
    site.simulator.set_down(true);
    site.pass().await;
    for hour in 0..72 {
        site.clock.advance(Duration::from_secs(3_600));
        site.at_rest_with(0).await;
        site.database
            .insert(1_000 + hour * 10..1_010 + hour * 10)
            .await;
    }
    assert_eq!(site.status().sync.total_failed, 0);
    site.simulator.set_down(false);
    site.advance_until_drained(Duration::from_secs(1)).await;
    let ledger = site.simulator.ledger();
    assert_eq!((ledger.distinct_readings, ledger.raw_duplicates), (820, 0));
    site.finish().await;
}
