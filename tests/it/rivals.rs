//! The faults at which programs of this kind lose, double or block data, each under the name of the report in which their
//! users describe it.

mod bounded;

use std::time::Duration;

use chrono::TimeDelta;
use meterit_sync::{
    demo::client_system::{FaultAction, FaultPath, FaultRule, Naming},
    domain::status::State,
};

use crate::helpers::{Plan, Site, answer, on_batch};

const STEP: Duration = Duration::from_millis(250);
const MINUTE: Duration = Duration::from_secs(60);

async fn assert_all_arrived_once(site: Site, readings: u64) {
    let ledger = site.simulator.ledger();
    assert_eq!(ledger.distinct_readings, readings, "{ledger:#?}");
    assert_eq!(ledger.duplicates_after_key, 0, "{ledger:#?}");
    assert_eq!(site.database.pending().await, 0);
    site.finish().await;
}

/// What is on its way when the outage begins is neither lost nor doubled, wherever it was.
#[actix::test]
async fn opentelemetry_collector_15324_the_start_of_an_outage() {
    for after_commit in [false, true] {
        let rule = FaultRule {
            commit: after_commit,
            ..on_batch(FaultAction::Hang)
        };
        let site = Plan::default()
            .batch_size(5)
            .fault(rule.times(1))
            .start_settled(20)
            .await;
        site.control().trigger_sync().await.expect("a pass");
        site.eventually("a batch is on its way", || site.batches().len() == 1)
            .await;
        site.simulator.set_down(true);
        site.advance_until("offline", STEP, || site.status().state == State::Offline)
            .await;
        site.database.insert(20..25).await;
        site.simulator.set_down(false);
        site.advance_until_drained(STEP).await;
        assert_all_arrived_once(site, 25).await;
    }
}

/// Nothing is given up because it has waited for long.
#[actix::test]
async fn opentelemetry_collector_7480_drops_after_five_minutes() {
    let site = Plan::default()
        .setting("sync_interval_minutes", "5")
        .fault(on_batch(answer(500, "")).times(60))
        .start_settled(10)
        .await;
    let end = site.clock.now() + TimeDelta::hours(2);
    site.advance_until("two hours of failures", MINUTE / 2, || {
        site.clock.now() > end
    })
    .await;
    site.advance_until_drained(MINUTE / 2).await;
    assert!(site.batches().len() > 60);
    assert_all_arrived_once(site, 10).await;
}

/// A key that is not accepted any more pauses the uploading and costs nothing.
#[actix::test]
async fn vector_10870_an_unauthorized_answer_drops_data() {
    let site = Plan::default().start_settled(10).await;
    site.simulator.set_api_key("another");
    site.pass().await;
    assert_eq!(site.status().state, State::Unauthorized);
    assert_eq!(site.database.pending().await, 10);
    site.simulator.set_api_key("demo-key");
    site.advance_until_drained(10 * Duration::from_secs(1))
        .await;
    assert_all_arrived_once(site, 10).await;
}

/// One bad reading among many goes to quarantine; the others arrive in the same pass.
#[actix::test]
async fn telegraf_13826_a_poison_item_blocks_everything() {
    let refuse = on_batch(FaultAction::Refuse {
        naming: Naming::Nothing,
    });
    let site = Plan::default()
        .batch_size(1_000)
        .fault(refuse.containing_meter("M-500"))
        .start_settled(1_000)
        .await;
    let report = site.pass().await;
    assert_eq!((report.delivered, report.quarantined), (999, 1));
    // Twice the logarithm of the thousand, and one.
    assert!(
        site.batches().len() <= 21,
        "{} requests",
        site.batches().len()
    );
    assert_all_arrived_once(site, 999).await;
}

/// The bound on requests holds for every place in the batch.
#[actix::test]
async fn a_bad_reading_costs_no_more_requests_than_stated_wherever_it_is() {
    for (length, bad) in [(2, 1), (3, 0), (64, 63), (100, 0), (777, 300), (1_000, 999)] {
        let refuse = on_batch(FaultAction::Refuse {
            naming: Naming::Nothing,
        });
        let site = Plan::default()
            .batch_size(1_000)
            .fault(refuse.containing_meter(&format!("M-{bad}")))
            .start_settled(length)
            .await;
        site.pass().await;
        let bound = 2 * length.next_power_of_two().trailing_zeros() as usize + 1;
        let requests = site.batches().len();
        assert!(
            requests <= bound,
            "{requests} requests for {length}, at most {bound}"
        );
        assert_all_arrived_once(site, length - 1).await;
    }
}

/// A batch that is too large is halved.
#[actix::test]
async fn opentelemetry_collector_14298_too_large_drops() {
    let site = Plan::default()
        .batch_size(100)
        .fault(on_batch(answer(413, "<html>")).larger_than(30))
        .start_settled(250)
        .await;
    site.pass().await;
    assert_all_arrived_once(site, 250).await;
}

/// A service that moves nothing does not say that all is well, whatever the reason.
#[actix::test]
async fn fluent_bit_8391_healthy_while_nothing_moves() {
    for action in [
        answer(500, ""),
        answer(404, ""),
        answer(418, ""),
        FaultAction::Unsuccessful,
        FaultAction::Garbage,
        FaultAction::Hang,
    ] {
        let name = action.name();
        let site = Plan::default()
            .setting("sync_interval_minutes", "5")
            .fault(on_batch(action))
            .start_settled(5)
            .await;
        let end = site.clock.now() + TimeDelta::minutes(16);
        let step = Duration::from_secs(5);
        site.advance_until("three intervals", step, || site.clock.now() > end)
            .await;
        // Between two tries as well as within one.
        for _ in 0..200 {
            let state = site.status().state;
            assert_ne!(state, State::Ok, "{name}");
            site.clock.advance(step);
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        site.simulator.clear_faults();
        site.advance_until_drained(step).await;
        assert_all_arrived_once(site, 5).await;
    }
}

/// The same right after a restart, when the service has not seen anything fail yet.
#[actix::test]
async fn old_readings_are_told_of_right_after_a_restart() {
    let mut site = Plan::default()
        .setting("sync_interval_minutes", "5")
        .setting("enable_auto_sync", "false")
        .start(5)
        .await;
    site.until("a connection", |status| status.connectivity.is_connected)
        .await;
    // The database stamps rows with the time of day, which these tests do not play at.
    let noon = "UPDATE meter_readings SET created_at = '2026-03-01 12:00:00'";
    site.database.execute(noon).await;
    site.stop_service().await;
    site.clock.advance(20 * MINUTE);
    site.start_service().await;
    site.until("the queue is counted", |status| status.queue.pending == 5)
        .await;
    assert_eq!(site.status().state, State::Degraded);
    site.pass().await;
    assert_eq!(site.status().state, State::Ok);
    assert_all_arrived_once(site, 5).await;
}

/// One reading that nobody follows leaves within half a minute.
#[actix::test]
async fn vector_22946_a_lone_reading_waits_for_the_next() {
    let site = Plan::default().start_settled(0).await;
    site.database.insert(0..1).await;
    let inserted = site.clock.now();
    site.advance_until("it arrives", STEP, || site.simulator.delivered().1 == 1)
        .await;
    let took = site.batches()[0].at - inserted;
    assert!(took <= TimeDelta::seconds(40), "{took}");
    site.advance_until_drained(STEP).await;
    assert_all_arrived_once(site, 1).await;
}

/// Uploading resumes by itself, whatever ended the outage and however long it lasted.
#[actix::test]
async fn thingsboard_gateway_1640_never_resumes_until_a_restart() {
    let site = Plan::default()
        .setting("connectivity_check_interval_ms", "60000")
        .start_settled(0)
        .await;
    for (number, length) in [(0, 2), (1, 600), (2, 86_400)] {
        site.simulator.set_down(true);
        site.database.insert(number * 10..number * 10 + 10).await;
        site.advance_until("offline", STEP, || site.status().state == State::Offline)
            .await;
        let end = site.clock.now() + TimeDelta::seconds(length);
        let step = Duration::from_secs(length as u64 / 50 + 1);
        site.advance_until("the outage lasts", step, || site.clock.now() > end)
            .await;
        site.simulator.set_down(false);
        let back = site.clock.now();
        site.advance_until("readings arrive", STEP, || {
            site.simulator.delivered().1 == number * 10 + 10
        })
        .await;
        // A probe comes at least once in the interval of the checks, and the random extra.
        let took = site.clock.now() - back;
        assert!(took <= TimeDelta::seconds(90), "{took}");
        site.advance_until_drained(STEP).await;
    }
    assert_all_arrived_once(site, 30).await;
}

/// The health check alone failing does not hold up uploads that would succeed.
#[actix::test]
async fn a_health_check_that_fails_holds_nothing_up() {
    let site = Plan::default().start_settled(0).await;
    site.simulator
        .add_fault(FaultRule::on(FaultPath::Health, answer(500, "")));
    site.database.insert(0..5).await;
    site.advance_until_drained(STEP).await;
    assert_all_arrived_once(site, 5).await;
}
