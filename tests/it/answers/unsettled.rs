//! Batches whose readings another program keeps in the queue: what the Client System has taken is not sent again, and the
//! others do not wait for it.

use std::time::Duration;

use chrono::TimeDelta;
use meterit_sync::domain::{pass::PassEnd, status::State};

use crate::helpers::{Plan, Site, answer, on_batch};

const SECOND: Duration = Duration::from_secs(1);

fn as_deployed() -> Plan {
    Plan::default()
        .batch_size(5)
        .setting("sync_interval_minutes", "5")
}

async fn with_refusal(plan: Plan, readings: u64, of: &str) -> Site {
    let mut site = plan.prepare().await;
    site.database.insert(0..readings).await;
    let refusal = format!(
        "CREATE TRIGGER keep BEFORE {of} BEGIN SELECT RAISE(ABORT, 'an auditor keeps it'); END"
    );
    site.database.execute(&refusal).await;
    site.start_service().await;
    site
}

async fn with_deletions_refused(readings: u64, of: &str) -> Site {
    let of = format!("DELETE ON meter_readings WHEN {of}");
    with_refusal(as_deployed(), readings, &of).await
}

async fn all_arrive_once_the_trigger_is_gone(site: Site, readings: u64) {
    site.database.execute("DROP TRIGGER keep").await;
    site.advance_turns_until_drained(SECOND).await;
    site.advance_until("a pass without failures", SECOND, || {
        site.last_pass_drained()
    })
    .await;
    let ledger = site.simulator.ledger();
    assert_eq!(ledger.distinct_readings, readings);
    assert_eq!(ledger.raw_duplicates, 0, "nothing was stored again");
    site.finish().await;
}

#[actix::test]
async fn the_first_batch_of_a_pass_holds_up_no_others() {
    let site = with_deletions_refused(60, "old.id = 2").await;
    site.advance_until("all others have left", SECOND, || {
        site.simulator.ledger().distinct_readings == 60
    })
    .await;
    site.advance_until("a pass that tells of it", SECOND, || {
        let last = site.status().last_pass;
        last.is_some_and(|report| match report.end {
            PassEnd::DatabaseFailed { words } => {
                report.delivered == 0 && words.contains("5 readings") && words.contains("auditor")
            }
            _ => false,
        })
    })
    .await;
    assert_eq!(site.database.pending().await, 5);
    let status = site.status();
    assert_eq!(status.state, State::Degraded, "{}", status.reason);
    assert!(status.reason.contains("auditor"), "{}", status.reason);
    let since = site.clock.now();
    site.database.insert(60..61).await;
    site.advance_until("a fresh reading has arrived", SECOND, || {
        site.simulator.ledger().distinct_readings == 61
    })
    .await;
    let took = site.clock.now() - since;
    assert!(took <= TimeDelta::seconds(120), "{took}");
    assert_eq!(site.status().queue.possibly_doubled_uploads, 0);
    all_arrive_once_the_trigger_is_gone(site, 61).await;
}

#[actix::test]
async fn where_nothing_can_be_taken_out_there_is_an_end_to_sending() {
    let site = with_deletions_refused(600, "1").await;
    for _ in 0..600 {
        site.advance_turn(SECOND).await;
    }
    let sent = site.batches().len();
    // Sixteen that wait, as many that were under way when these had become so many, and four that were claimed ahead.
    assert!((16..=36).contains(&sent), "{sent} batches were sent");
    for _ in 0..600 {
        site.advance_turn(SECOND).await;
    }
    assert_eq!(site.batches().len(), sent);
    assert_eq!(site.database.pending().await, 600);
    assert_eq!(site.status().queue.possibly_doubled_uploads, 0);
    all_arrive_once_the_trigger_is_gone(site, 600).await;
}

#[actix::test]
async fn a_bad_reading_that_cannot_be_set_aside_holds_up_nobody() {
    let bad = on_batch(answer(400, r#"{"message":"invalid"}"#)).containing_meter("M-2");
    let of = "DELETE ON meter_readings WHEN old.id = 3";
    let site = with_refusal(as_deployed().fault(bad), 10, of).await;
    site.advance_until("all others have left", SECOND, || {
        site.simulator.ledger().distinct_readings == 9
    })
    .await;
    for number in 10..40 {
        let since = site.clock.now();
        site.database.insert(number..number + 1).await;
        site.advance_until("a fresh reading has arrived", SECOND, || {
            site.simulator.ledger().distinct_readings == number
        })
        .await;
        let took = site.clock.now() - since;
        assert!(took <= TimeDelta::seconds(120), "{took}");
    }
    let status = site.status();
    assert_eq!(status.queue.quarantined, 0);
    assert!(status.reason.contains("auditor"), "{}", status.reason);
    site.database.execute("DROP TRIGGER keep").await;
    site.advance_until("it is set aside", SECOND, || {
        site.status().queue.quarantined == 1 && site.status().state == State::Ok
    })
    .await;
    assert_eq!(site.simulator.ledger().raw_duplicates, 0);
    site.finish().await;
}

#[actix::test]
async fn a_batch_that_fails_and_cannot_be_marked_holds_up_nobody() {
    let plan = as_deployed()
        .setting("max_retries", "0")
        .fault(on_batch(answer(500, "{}")).containing_meter("M-2"));
    let of = "UPDATE OF retry_count ON meter_readings WHEN old.id = 3";
    let site = with_refusal(plan, 60, of).await;
    site.advance_until("all others have left", SECOND, || {
        site.simulator.ledger().distinct_readings == 55
    })
    .await;
    site.simulator.clear_faults();
    all_arrive_once_the_trigger_is_gone(site, 60).await;
}

#[actix::test]
async fn unreadable_rows_that_cannot_be_set_aside_hold_up_nobody() {
    let mut site = as_deployed().prepare().await;
    site.database
        .execute(
            "INSERT INTO meter_readings (meter_external_id, timestamp, data_point, value)
             WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 12)
             SELECT 'M-' || n, 'yesterday', 'energy_total', 1 FROM numbers;
             CREATE TRIGGER keep BEFORE DELETE ON meter_readings WHEN old.timestamp = 'yesterday'
             BEGIN SELECT RAISE(ABORT, 'an auditor keeps it'); END",
        )
        .await;
    site.database.insert(0..7).await;
    site.start_service().await;
    site.advance_until("all others have left", SECOND, || site.last_pass_drained())
        .await;
    assert_eq!(site.simulator.ledger().distinct_readings, 7);
    assert_eq!(site.database.pending().await, 12);
    assert_eq!(site.status().queue.pending, 12);
    site.database.execute("DROP TRIGGER keep").await;
    site.advance_turns_until_drained(SECOND).await;
    assert_eq!(site.database.count("quarantined_readings").await, 12);
    assert_eq!(site.simulator.ledger().raw_duplicates, 0);
    site.finish().await;
}
