//! Answers that refuse the caller, the size or the form rather than the readings.

use std::time::Duration;

use meterit_sync::{
    demo::client_system::{ClientSystem, ClientSystemOptions, FaultPath, FaultRule},
    domain::{
        pass::{PassEnd, PassTrigger},
        status::State,
    },
};

use crate::helpers::{Plan, Site, answer, answer_with, on_batch};

#[actix::test]
async fn a_key_that_is_not_accepted_pauses_uploading_and_a_probe_resumes() {
    let site = Plan::default().start_settled(5).await;
    site.simulator.set_api_key("another");
    let report = site.pass().await;
    assert!(
        matches!(report.end, PassEnd::Unauthorized { .. }),
        "{report:?}"
    );
    assert_paused(&site, State::Unauthorized).await;
    // A probe that fails is followed by the next one.
    advance_through_a_probe(&site, 1).await;
    advance_through_a_probe(&site, 2).await;
    assert_eq!(site.batches().len(), 1, "only probes are sent");
    site.simulator.set_api_key("demo-key");
    site.advance_until_drained(Duration::from_secs(1)).await;
    assert_resumed(&site, PassTrigger::Probe);
    site.finish().await;
}

#[actix::test]
async fn a_manual_trigger_resumes_whatever_was_wrong() {
    for (status, state) in [
        (401, State::Unauthorized),
        (403, State::Unauthorized),
        (402, State::Misconfigured),
        (404, State::Misconfigured),
        (405, State::Misconfigured),
        (406, State::Misconfigured),
        (410, State::Misconfigured),
        (451, State::Misconfigured),
    ] {
        let site = Plan::default()
            .fault(on_batch(answer(status, r#"{"success":false,"message":"go away"}"#)).times(1))
            .start_settled(5)
            .await;
        let report = site.pass().await;
        assert_eq!(report.requests, 1, "{status}");
        assert_paused(&site, state).await;
        assert!(
            site.status().reason.contains("go away"),
            "{status}: {}",
            site.status().reason
        );
        let report = site.pass().await;
        assert_eq!(report.delivered, 5, "{status}");
        assert_resumed(&site, PassTrigger::Manual);
        site.finish().await;
    }
}

/// Nothing was dropped, nothing was set aside, and the state says why nothing moves.
async fn assert_paused(site: &Site, state: State) {
    let status = site.status();
    assert_eq!(status.state, state, "{}", status.reason);
    assert!(status.connectivity.is_connected);
    assert_eq!(site.database.pending().await, 5);
    assert_eq!(site.database.count("quarantined_readings").await, 0);
    assert_eq!(status.sync.last_sync_success, Some(false));
}

fn assert_resumed(site: &Site, trigger: PassTrigger) {
    let status = site.status();
    assert_eq!(status.state, State::Ok, "{}", status.reason);
    assert_eq!(status.last_pass.map(|pass| pass.trigger), Some(trigger));
    let ledger = site.simulator.ledger();
    assert_eq!((ledger.keys, ledger.readings_stored), (1, 5));
}

async fn advance_through_a_probe(site: &Site, number: u64) {
    site.at_rest_with(1).await;
    let probes = || {
        site.simulator
            .ledger()
            .requests
            .get("/api/sync/auth")
            .copied()
    };
    site.clock.advance(Duration::from_secs(299));
    site.at_rest_with(1).await;
    assert_eq!(probes().unwrap_or(0), number - 1, "not before five minutes");
    site.clock.advance(Duration::from_secs(62));
    site.eventually("the probe", || probes() == Some(number))
        .await;
    site.at_rest_with(1).await;
}

#[actix::test]
async fn a_pause_outlives_fresh_readings_and_the_return_of_the_link() {
    let site = Plan::default()
        .fault(on_batch(answer(401, "")))
        .start_settled(5)
        .await;
    site.pass().await;
    site.database.insert(5..10).await;
    site.simulator.set_down(true);
    assert!(site.control().check_connectivity().await.is_ok());
    site.simulator.set_down(false);
    site.advance_until("the link is back", Duration::from_millis(200), || {
        site.status().connectivity.is_connected && site.status().queue.pending == 10
    })
    .await;
    // The announced readings get their turn half a minute after the last pass.
    site.clock.advance(Duration::from_secs(60));
    site.at_rest_with(1).await;
    assert_eq!(site.batches().len(), 1);
    site.finish().await;
}

#[actix::test]
async fn a_redirect_is_not_followed_and_carries_the_key_nowhere() {
    for status in [301, 302, 303, 307, 308] {
        let elsewhere =
            ClientSystem::start(ClientSystemOptions::default()).expect("another server");
        let target = format!("{}/sync/readings/batch", elsewhere.base_url());
        let site = Plan::default()
            .fault(on_batch(answer_with(status, "Location", &target)))
            .start_settled(5)
            .await;
        let report = site.pass().await;
        assert!(
            matches!(report.end, PassEnd::Misconfigured { .. }),
            "{status}: {report:?}"
        );
        assert_paused(&site, State::Misconfigured).await;
        assert!(elsewhere.ledger().requests.is_empty(), "{status}");
        site.finish().await;
    }
}

#[actix::test]
async fn a_redirect_is_told_with_where_it_leads_or_that_it_does_not_say() {
    for (fault, words) in [
        (
            answer_with(302, "Location", "https://login.example/sso?token=secret"),
            "(302): a redirect to https://login.example/sso, which is not followed",
        ),
        (
            answer(302, ""),
            "(302): a redirect that does not say where to",
        ),
    ] {
        let site = Plan::default()
            .fault(on_batch(fault))
            .start_settled(5)
            .await;
        let report = site.pass().await;
        assert!(report.end.describe().ends_with(words), "{report:?}");
        assert!(site.status().reason.contains(words));
        site.finish().await;
    }
}

#[actix::test]
async fn no_call_follows_a_redirect() {
    let elsewhere = ClientSystem::start(ClientSystemOptions::default()).expect("another server");
    let target = format!("{}/sync/config", elsewhere.base_url());
    let site = Plan::default()
        .fault(FaultRule::on(
            FaultPath::Any,
            answer_with(307, "Location", &target),
        ))
        .start(5)
        .await;
    site.until("misconfigured", |status| {
        status.state == State::Misconfigured
    })
    .await;
    assert!(site.control().send_heartbeat().await.is_err());
    assert!(site.control().download_config().await.is_err());
    assert!(site.control().check_connectivity().await.is_ok());
    assert!(elsewhere.ledger().requests.is_empty());
    site.finish().await;
}

#[actix::test]
async fn a_batch_that_is_too_large_is_halved_and_the_size_that_fits_is_remembered() {
    let mut site = Plan::default()
        .batch_size(40)
        .fault(on_batch(answer(413, "<html>too large</html>")).larger_than(10))
        .start_settled(40)
        .await;
    let report = site.pass().await;
    assert_eq!((report.delivered, report.quarantined), (40, 0));
    let ledger = site.simulator.ledger();
    assert_eq!((ledger.readings_stored, ledger.distinct_readings), (40, 40));
    let before = site.batches().len();
    site.database.insert(40..60).await;
    assert_eq!(site.pass().await.requests, 2, "what fits is remembered");
    site.stop_service().await;
    site.database.insert(60..80).await;
    site.start_service().await;
    site.drained().await;
    let later: Vec<usize> = site.batches()[before..]
        .iter()
        .map(|batch| batch.readings)
        .collect();
    assert_eq!(later, [10, 10, 10, 10], "over a restart as well");
    site.finish().await;
}

#[actix::test]
async fn a_single_reading_that_is_too_large_does_not_block_the_others() {
    let site = Plan::default()
        .fault(on_batch(answer(413, "")).containing_meter("M-3"))
        .start_settled(8)
        .await;
    let report = site.pass().await;
    assert_eq!((report.delivered, report.quarantined), (7, 1), "{report:?}");
    site.finish().await;
}

#[actix::test]
async fn a_server_that_refuses_plain_json_as_well_is_misconfigured() {
    let site = Plan::default()
        .fault(on_batch(answer(415, "")))
        .start_settled(5)
        .await;
    let report = site.pass().await;
    assert!(
        matches!(report.end, PassEnd::Misconfigured { .. }),
        "{report:?}"
    );
    assert_paused(&site, State::Misconfigured).await;
    site.finish().await;
}

#[actix::test]
async fn unreadable_rows_are_set_aside_locally_and_block_nobody() {
    let site = Plan::default().batch_size(3).start_settled(6).await;
    let bad = [
        ("'M-a'", "'yesterday'", "1"),
        ("'M-b'", "'2026-13-41 00:00:00'", "1"),
        ("'M-c'", "'2026-03-01 10:00:00'", "'a lot'"),
        ("'M-d'", "'2026-03-01 10:00:00'", "9e999"),
        ("'M-e'", "'2026-03-01 10:00:00'", "-9e999"),
        ("'M-f'", "'2026-03-01 10:00:00'", "''"),
        ("'M-g'", "'2026-03-01 10:00:00'", "x'00ff'"),
    ];
    for (meter, timestamp, value) in bad {
        site.database
            .execute(&format!(
                "INSERT INTO meter_readings (meter_external_id, timestamp, data_point, value)
                 VALUES ({meter}, {timestamp}, 'energy_total', {value})"
            ))
            .await;
    }
    site.database.insert(6..8).await;
    let report = site.pass().await;
    assert!(report.end.is_success(), "{report:?}");
    assert_eq!((report.delivered, report.quarantined), (8, 7), "{report:?}");
    let entries = site
        .database
        .column(
            "SELECT meter_external_id AS it FROM quarantined_readings
             WHERE reason = 'unreadable' AND status IS NULL AND message <> '' ORDER BY reading_id",
        )
        .await;
    assert_eq!(entries, ["M-a", "M-b", "M-c", "M-d", "M-e", "M-f", "M-g"]);
    assert_eq!(site.simulator.ledger().distinct_readings, 8);
    site.finish().await;
}
