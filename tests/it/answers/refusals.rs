//! 400 and 422: the bad readings are found and set aside, the others arrive in the same pass.

use std::time::Duration;

use meterit_sync::{
    demo::client_system::{ClientSystemOptions, FaultAction, FaultPath, FaultRule, Naming},
    domain::{
        pass::{PassEnd, PassTrigger},
        status::State,
    },
};

use crate::helpers::{Plan, Site, answer, on_batch};

fn refuse(naming: Naming) -> FaultAction {
    FaultAction::Refuse { naming }
}

/// The meters of the readings in quarantine, in order.
async fn set_aside(site: &Site) -> Vec<String> {
    site.database
        .column("SELECT meter_external_id AS it FROM quarantined_readings ORDER BY reading_id")
        .await
}

#[actix::test]
async fn a_server_that_repeats_the_key_is_not_quoted() {
    let key = ClientSystemOptions::default().api_key;
    let words = format!("{{\"message\":\"bad key {key}, sorry\"}}");
    let site = Plan::default()
        .fault(on_batch(answer(401, &words)))
        .start(1)
        .await;
    site.until("the refusal", |status| status.state == State::Unauthorized)
        .await;
    let logged = "SELECT coalesce(error_message, '') AS it FROM sync_log";
    let logged = site.database.column(logged).await.join("\n");
    let told = format!("{:?} {logged}", site.status());
    assert!(!told.contains(&key), "{told}");
    assert!(told.contains("bad key <redacted>, sorry"), "{told}");
    site.finish().await;
}

#[actix::test]
async fn readings_that_the_server_names_go_to_quarantine_with_its_words() {
    let mut site = Plan::default()
        .batch_size(1_000)
        .fault(on_batch(refuse(Naming::Every)).containing_meter("BAD"))
        .prepare()
        .await;
    site.database
        .insert_as("iif(n IN (7, 1500, 2999), 'BAD', 'M-' || n)", 0..3_000)
        .await;
    site.start_service().await;
    site.drained().await;
    let ledger = site.simulator.ledger();
    assert_eq!(
        (ledger.readings_stored, ledger.distinct_readings),
        (2_997, 2_997)
    );
    assert_eq!(
        ledger.batches_received, 6,
        "each batch, then its good readings"
    );
    let told = site
        .database
        .column(
            "SELECT value || ' ' || reason || ' ' || status || ' ' || (message LIKE '%readings[%') || ' ' || quarantined_at
             AS it FROM quarantined_readings ORDER BY reading_id",
        )
        .await;
    assert_eq!(
        told,
        ["7", "1500", "2999"].map(|value| format!("{value} refused 400 1 2026-03-01 12:00:00.000"))
    );
    let passes = site.status().last_pass.expect("a pass");
    assert!(passes.end.is_success());
    site.finish().await;
}

#[actix::test]
async fn a_422_that_names_readings_counts_like_a_400() {
    let body =
        r#"{"success":false,"errors":[{"path":"readings[1].value","msg":"too good to be true"}]}"#;
    let site = Plan::default()
        .fault(on_batch(answer(422, body)).times(1))
        .start_settled(4)
        .await;
    let report = site.pass().await;
    assert_eq!(
        (report.delivered, report.quarantined, report.requests),
        (3, 1, 2)
    );
    let told = site
        .database
        .column("SELECT value || ' ' || status || ' ' || message AS it FROM quarantined_readings")
        .await;
    assert_eq!(told, ["1 422 readings[1].value: too good to be true"]);
    site.finish().await;
}

#[actix::test]
async fn a_bad_reading_that_nobody_names_is_found_by_halving_within_the_bound() {
    for (length, bad) in [(2, 0), (3, 2), (64, 0), (64, 63), (100, 41), (1_000, 999)] {
        let meter = format!("M-{bad}");
        let site = Plan::default()
            .fault(on_batch(refuse(Naming::Nothing)).containing_meter(&meter))
            .start_settled(length)
            .await;
        let report = site.pass().await;
        assert_eq!(
            (report.delivered, report.quarantined),
            (length - 1, 1),
            "{length} {bad}"
        );
        assert_eq!(set_aside(&site).await, [meter]);
        let bound = 2 * u64::from(length.next_power_of_two().trailing_zeros()) + 1;
        let ledger = site.simulator.ledger();
        assert!(
            ledger.batches_received <= bound,
            "{length} {bad}: {}",
            ledger.batches_received
        );
        assert_eq!(
            (ledger.readings_stored, ledger.distinct_readings),
            (length - 1, length - 1)
        );
        site.finish().await;
    }
}

#[actix::test]
async fn several_bad_readings_are_found_while_fresh_batches_proceed() {
    let mut site = Plan::default()
        .batch_size(100)
        .fault(on_batch(refuse(Naming::Nothing)).containing_meter("BAD"))
        .prepare()
        .await;
    site.database
        .insert_as("iif(n IN (10, 11, 77), 'BAD', 'M-' || n)", 0..400)
        .await;
    site.start_service().await;
    site.drained().await;
    assert_eq!(site.simulator.ledger().distinct_readings, 397);
    assert_eq!(set_aside(&site).await, ["BAD", "BAD", "BAD"]);
    // Isolation and fresh batches take turns, so the untroubled batches are not the last to arrive.
    let batches = site.batches();
    let untroubled = batches.iter().position(|batch| batch.stored == 100);
    assert!(untroubled.is_some_and(|at| at <= 2), "{untroubled:?}");
    site.finish().await;
}

#[actix::test]
async fn a_blanket_refusal_quarantines_nothing_and_a_slow_probe_resumes() {
    for naming in [Naming::Nothing, Naming::Every] {
        let site = Plan::default()
            .fault(on_batch(refuse(naming)))
            .start_settled(1_000)
            .await;
        let report = site.pass().await;
        assert!(
            matches!(report.end, PassEnd::Misconfigured { .. }),
            "{report:?}"
        );
        assert_eq!(site.status().state, State::Misconfigured);
        assert!(site.simulator.ledger().batches_received <= 9, "eight parts");
        assert_eq!(site.database.pending().await, 1_000);
        assert_eq!(set_aside(&site).await, Vec::<String>::new());
        site.simulator.clear_faults();
        assert_resumes_by_the_slow_probe(&site).await;
        assert_eq!(site.simulator.ledger().distinct_readings, 1_000);
        site.finish().await;
    }
}

async fn assert_resumes_by_the_slow_probe(site: &Site) {
    let auths = || {
        site.simulator
            .ledger()
            .requests
            .get("/api/sync/auth")
            .copied()
    };
    let before = site.batches().len();
    site.at_rest_with(1).await;
    for _ in 0..299 {
        site.clock.advance(Duration::from_secs(1));
        site.at_rest_with(1).await;
    }
    assert_eq!(
        (auths(), site.batches().len()),
        (None, before),
        "nothing before five minutes"
    );
    site.advance_until_drained(Duration::from_secs(1)).await;
    assert_eq!(auths(), Some(1));
    let status = site.status();
    assert_eq!(
        status.last_pass.map(|pass| pass.trigger),
        Some(PassTrigger::Probe)
    );
    assert_eq!(status.state, State::Ok);
}

#[actix::test]
async fn a_single_refused_reading_proves_nothing_until_another_is_accepted() {
    let site = Plan::default()
        .fault(on_batch(refuse(Naming::Nothing)).containing_meter("M-0"))
        .start_settled(1)
        .await;
    let report = site.pass().await;
    assert!(
        matches!(report.end, PassEnd::Misconfigured { .. }),
        "{report:?}"
    );
    assert_eq!(set_aside(&site).await, Vec::<String>::new());
    site.database.insert(1..3).await;
    let report = site.pass().await;
    assert_eq!((report.delivered, report.quarantined), (2, 1), "{report:?}");
    assert_eq!(site.status().state, State::Ok);
    site.finish().await;
}

#[actix::test]
async fn a_422_about_the_key_parks_the_batch() {
    let body =
        r#"{"success":false,"message":"Idempotency-Key was already used with a different body"}"#;
    let site = Plan::default()
        .batch_size(5)
        .fault(FaultRule::on(FaultPath::Batch, answer(422, body)).containing_meter("M-2"))
        .start_settled(15)
        .await;
    let report = site.pass().await;
    assert_eq!(
        (report.delivered, report.quarantined),
        (10, 0),
        "{report:?}"
    );
    site.advance_until("parked", Duration::from_millis(500), || {
        site.status().queue.parked_batches == 1
    })
    .await;
    let status = site.status();
    assert_eq!((status.state, status.queue.pending), (State::Degraded, 5));
    site.finish().await;
}

#[actix::test]
async fn a_bad_reading_in_every_batch_leaves_few_parts_waiting_at_a_time() {
    let mut site = Plan::default()
        .batch_size(20)
        .fault(on_batch(refuse(Naming::Nothing)).containing_meter("BAD"))
        .prepare()
        .await;
    site.database
        .insert_as("iif(n % 20 = 7, 'BAD', 'M-' || n)", 0..2_000)
        .await;
    site.start_service().await;
    let mut most = 0;
    while !site.last_pass_drained() {
        let parts = "upload_manifests WHERE state = 'part'";
        most = most.max(site.database.count(parts).await);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!((20..=100).contains(&most), "{most} parts");
    assert_eq!(site.database.pending().await, 0);
    assert_eq!(set_aside(&site).await, vec!["BAD"; 100]);
    assert_eq!(site.simulator.ledger().distinct_readings, 1_900);
    site.finish().await;
}
