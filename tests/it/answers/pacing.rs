//! Making do with what the Client System and the link allow: requests, time and bytes.

use std::{collections::HashMap, time::Duration};

use chrono::TimeDelta;
use meterit_sync::demo::client_system::{FaultAction, RateLimit};

use crate::helpers::{Plan, Site, on_batch};

const SECOND: Duration = Duration::from_secs(1);
/// Numbers of readings that come in while the backlog drains.
const FRESH: u64 = 1_000_000;

/// The schedules as they are by default, all of which call the Client System.
fn as_deployed() -> Plan {
    Plan::default()
        .setting("heartbeat_interval_ms", "60000")
        .setting("connectivity_check_interval_ms", "60000")
        .setting("config_download_interval_minutes", "60")
        .setting("sync_interval_minutes", "5")
        .setting("api_timeout", "30000")
        .client_system(|options| options.rate_limit = Some(RateLimit::DEPLOYED))
}

#[actix::test]
async fn a_backlog_drains_within_the_deployed_limit_without_a_single_429() {
    let site = as_deployed().batch_size(10).start(1_500).await;
    drains_while_fresh_readings_arrive(site).await;
}

#[actix::test]
async fn a_backlog_that_comes_while_a_pass_is_under_way_keeps_no_fresh_reading() {
    let delay = FaultAction::Delay {
        milliseconds: 3_000,
    };
    let plan = as_deployed().batch_size(10).fault(on_batch(delay).times(1));
    let site = plan.start(10).await;
    site.eventually("the pass waits for an answer", || site.batches().len() == 1)
        .await;
    site.database.insert(10..1_510).await;
    drains_while_fresh_readings_arrive(site).await;
}

async fn drains_while_fresh_readings_arrive(site: Site) {
    let mut inserted = HashMap::new();
    let mut number = FRESH;
    while site.database.pending().await > 0 {
        for _ in 0..30 {
            site.advance_turn(2 * SECOND).await;
            let link = site.status().connectivity;
            assert_eq!(
                link.held_until, None,
                "no call is refused, nor has to be held back"
            );
        }
        if number < FRESH + 40 {
            inserted.insert(format!("M-{number}"), site.clock.now());
            site.database.insert(number..number + 1).await;
            number += 1;
        }
    }
    assert_eq!(
        number,
        FRESH + 40,
        "the backlog lasted while fresh readings came in"
    );
    site.advance_turns_until_drained(SECOND).await;
    assert!(site.batches().iter().all(|batch| batch.status != Some(429)));
    let arrivals = site.arrivals();
    for (meter, since) in inserted {
        let took = arrivals[&meter] - since;
        // The steps of the clock blur the times of the insertion and of the arrival.
        assert!(took <= TimeDelta::seconds(120), "{meter} took {took}");
    }
    let heartbeat = site.status().heartbeat;
    assert_eq!(heartbeat.consecutive_failures, 0, "{heartbeat:?}");
    assert_eq!(site.simulator.ledger().raw_duplicates, 0);
    site.finish().await;
}

#[actix::test]
async fn batches_grow_while_requests_are_scarce_and_only_then() {
    let site = as_deployed()
        .batch_size(10)
        .setting("batch_size_max", "100")
        .start(2_000)
        .await;
    site.advance_turns_until_drained(SECOND).await;
    let sizes: Vec<usize> = site.batches().iter().map(|batch| batch.readings).collect();
    assert!(sizes[..40].iter().all(|size| *size == 10), "{sizes:?}");
    assert_eq!(sizes.iter().max(), Some(&100), "{sizes:?}");
    assert!(sizes.len() < 75, "{} requests instead of 200", sizes.len());
    site.finish().await;
}

#[actix::test]
async fn a_growing_batch_that_is_too_large_costs_one_request() {
    let too_large = FaultAction::Answer {
        status: 413,
        headers: Vec::new(),
        body: String::new(),
    };
    let site = as_deployed()
        .batch_size(10)
        .setting("batch_size_max", "1000")
        .fault(on_batch(too_large).larger_than(50))
        .start(1_200)
        .await;
    site.advance_turns_until_drained(SECOND).await;
    let refused = site
        .batches()
        .iter()
        .filter(|batch| batch.status == Some(413))
        .count();
    assert_eq!(refused, 1);
    assert_eq!(site.simulator.ledger().raw_duplicates, 0);
    site.finish().await;
}

#[actix::test]
async fn slow_answers_make_batches_smaller() {
    let site = Plan::default()
        .batch_size(100)
        .setting("api_timeout", "30000")
        .client_system(|options| options.time_per_reading = Duration::from_millis(200))
        .start(1_000)
        .await;
    site.advance_turns_until_drained(SECOND).await;
    let sizes: Vec<usize> = site.batches().iter().map(|batch| batch.readings).collect();
    assert_eq!(sizes[0], 100);
    // Twenty seconds for a hundred readings: half of them fit into a third of the timeout.
    assert!(
        sizes[1..]
            .iter()
            .all(|size| (30..=55).contains(size) || *size < 30),
        "{sizes:?}"
    );
    assert_eq!(site.simulator.ledger().raw_duplicates, 0);
    site.finish().await;
}

#[actix::test]
async fn a_link_with_few_bytes_is_not_overrun() {
    let site = Plan::default()
        .batch_size(10)
        .setting("upload_max_bytes_per_second", "200")
        .start_settled(300)
        .await;
    let begun = site.clock.now();
    site.advance_turns_until_drained(SECOND).await;
    let batches = site.batches();
    assert_eq!(batches.len(), 30);
    let took = (batches[29].at - begun).num_seconds();
    // Each of the 29 before the last one takes more than a kilobyte with everything around it.
    assert!((29 * 5..29 * 10).contains(&took), "{took} s");
    site.finish().await;
}
