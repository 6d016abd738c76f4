//! Batches that fail for good hold up no others, and a Client System that fails altogether is not asked for more.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use chrono::TimeDelta;
use meterit_sync::{demo::client_system::FaultAction, domain::pass::PassEnd};

use crate::helpers::{Plan, Site, answer, on_batch};

const SECOND: Duration = Duration::from_secs(1);
const READINGS_IN_A_BATCH: u64 = 5;
/// Readings behind the bad batches, so that what comes in later shares no batch with them.
const BEHIND: u64 = 40;
/// Numbers of readings that come in later.
const FRESH: u64 = 1_000;

fn as_deployed() -> Plan {
    Plan::default()
        .batch_size(5)
        .setting("sync_interval_minutes", "5")
        .setting("api_timeout", "30000")
}

fn with_bad_batches(mut plan: Plan, batches: u64, milliseconds: u64) -> Plan {
    for batch in 0..batches {
        let meter = format!("M-{}", batch * READINGS_IN_A_BATCH);
        for action in [FaultAction::Delay { milliseconds }, answer(503, "")] {
            plan = plan.fault(on_batch(action).containing_meter(&meter));
        }
    }
    plan
}

/// While so many batches get a 503 after so much time, whenever they are sent.
async fn fresh_readings_arrive_in_time(bad: u64, milliseconds: u64) {
    let site = with_bad_batches(as_deployed(), bad, milliseconds)
        .start(bad * READINGS_IN_A_BATCH + BEHIND)
        .await;
    let mut inserted = HashMap::new();
    for number in FRESH..FRESH + 40 {
        inserted.insert(format!("M-{number}"), site.clock.now());
        site.database.insert(number..number + 1).await;
        for _ in 0..10 {
            site.advance_turn(SECOND).await;
        }
    }
    let arrivals = site.arrivals();
    let last = TimeDelta::seconds(120);
    for (meter, since) in inserted {
        let until = arrivals.get(&meter).copied();
        let took = until.unwrap_or_else(|| site.clock.now()) - since;
        assert!(
            took <= last,
            "{bad} bad batches, {milliseconds} ms: {meter} took {took}"
        );
    }
    site.simulator.clear_faults();
    site.advance_turns_until_drained(SECOND).await;
    let ledger = site.simulator.ledger();
    assert_eq!(
        ledger.distinct_readings,
        bad * READINGS_IN_A_BATCH + BEHIND + 40
    );
    assert_eq!(ledger.duplicates_after_key, 0);
    site.finish().await;
}

#[actix::test]
async fn fresh_readings_arrive_within_two_minutes_while_one_batch_fails() {
    fresh_readings_arrive_in_time(1, 0).await;
}

#[actix::test]
async fn fresh_readings_arrive_within_two_minutes_while_sixteen_batches_fail() {
    fresh_readings_arrive_in_time(16, 0).await;
}

#[actix::test]
async fn fresh_readings_arrive_within_two_minutes_while_batches_fail_after_half_a_minute() {
    for bad in [1, 3, 16] {
        fresh_readings_arrive_in_time(bad, 29_000).await;
    }
}

fn keys(site: &Site) -> HashSet<String> {
    let batches = site.batches().into_iter();
    batches.filter_map(|batch| batch.key).collect()
}

#[actix::test]
async fn a_server_that_fails_altogether_is_tried_with_two_batches_a_pass() {
    let site = as_deployed()
        .fault(on_batch(answer(500, "out of order")))
        .start(60)
        .await;
    site.advance_until("the pass has ended", SECOND / 10, || {
        site.status().last_pass.is_some()
    })
    .await;
    let report = site.status().last_pass.expect("the pass");
    assert!(matches!(report.end, PassEnd::GivenUp { .. }), "{report:?}");
    assert_eq!((keys(&site).len(), report.requests), (2, 12));
    assert_eq!((report.delivered, report.failed), (0, 10));

    site.simulator.clear_faults();
    site.advance_turns_until_drained(SECOND).await;
    let ledger = site.simulator.ledger();
    assert_eq!(
        (ledger.distinct_readings, ledger.duplicates_after_key),
        (60, 0)
    );
    site.finish().await;
}

#[actix::test]
async fn a_long_outage_leaves_few_batches_open() {
    let site = as_deployed()
        .setting("max_retries", "0")
        .fault(on_batch(answer(500, "out of order")))
        .start(1_000)
        .await;
    for step in 0..720 {
        site.database.insert(FRESH + step..FRESH + step + 1).await;
        site.advance_turn(30 * SECOND).await;
    }
    let open = site.database.count("upload_manifests").await;
    // Beyond 32 a batch is only claimed where all others are parked, which takes three passes each.
    let passes = site.status().last_pass.expect("a pass").id;
    assert!(passes < 330, "{passes} passes");
    assert!((2..=32 + passes / 2).contains(&open), "{open} batches");
    site.simulator.clear_faults();
    site.advance_turns_until_drained(SECOND).await;
    let ledger = site.simulator.ledger();
    assert_eq!(ledger.distinct_readings, 1_720);
    assert_eq!(ledger.duplicates_after_key, 0);
    site.finish().await;
}
