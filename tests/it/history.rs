//! What charts show: the minutes of an outage, and of what came before and after it, over a restart.

use std::time::Duration;

use meterit_sync::domain::status::State;
use serde_json::Value;

use crate::helpers::{Plan, Site};

const STEP: Duration = Duration::from_millis(500);
const MINUTE: Duration = Duration::from_secs(60);

async fn samples(site: &Site) -> Vec<Value> {
    let answered = site.api().get("/api/v1/history?hours=1").await;
    assert_eq!(answered.status, 200);
    assert_eq!(answered.body["step_s"], 60);
    let samples = answered.body["samples"].as_array().expect("samples");
    samples.clone()
}

/// Lets a minute pass and waits until it is written down.
async fn minute(site: &Site, known: usize) -> Vec<Value> {
    site.clock.advance(MINUTE);
    for _ in 0..200 {
        let samples = samples(site).await;
        if samples.len() > known {
            return samples;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("no sample of the minute");
}

#[actix::test]
async fn every_minute_is_told_and_survives_a_restart() {
    let mut site = Plan::default().start_settled(0).await;
    site.database.insert(0..5).await;
    site.pass().await;
    let first = minute(&site, 0).await;
    assert_eq!(first.len(), 1, "{first:?}");
    assert_eq!(first[0]["uploaded"], 5);
    assert_eq!(first[0]["pending"], 0);
    assert!(first[0]["oldest_pending_age_s"].is_null());
    assert_eq!(first[0]["offline_s"], 0);

    site.simulator.set_down(true);
    drop(site.control().check_connectivity().await);
    site.database.insert(5..12).await;
    site.advance_until("the queue to be seen", STEP, || {
        site.status().queue.pending == 7
    })
    .await;
    let second = minute(&site, 1).await;
    assert_eq!(second[1]["pending"], 7, "{second:?}");
    assert_eq!(second[1]["uploaded"], 0);
    assert!(second[1]["oldest_pending_age_s"].is_number());
    assert!(second[1]["offline_s"].as_u64() > Some(50), "{second:?}");

    site.stop_service().await;
    site.clock.advance(MINUTE * 5);
    site.simulator.set_down(false);
    site.start_service().await;
    site.advance_until_drained(STEP).await;
    // One more is that in which the service was stopped.
    let third = minute(&site, 3).await;
    assert_eq!(third.len(), 4, "{third:?}");
    assert_eq!(third[..2], second[..]);
    assert_eq!(third[3]["uploaded"], 7);
    site.finish().await;
}

#[actix::test]
async fn parts_of_minutes_before_and_after_a_restart_are_told() {
    let mut site = Plan::default().prepare().await;
    site.clock.advance(Duration::from_secs(20));
    site.start_service().await;
    site.settled().await;
    site.database.insert(0..5).await;
    site.pass().await;
    site.clock.advance(Duration::from_secs(10));
    site.stop_service().await;
    site.start_service().await;
    site.settled().await;
    site.database.insert(5..7).await;
    site.pass().await;
    site.clock.advance(MINUTE / 2);
    for _ in 0..200 {
        let known = samples(&site).await;
        if known.first().is_some_and(|sample| sample["uploaded"] == 7) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let samples = samples(&site).await;
    assert_eq!(samples[0]["uploaded"], 7, "{samples:?}");
    // Nothing was known of the link before it was first tried.
    assert_eq!(samples[0]["offline_s"], 0, "{samples:?}");
    site.finish().await;
}

#[actix::test]
async fn an_outage_began_when_it_began_whatever_was_restarted_in_it() {
    let mut site = Plan::default().start_settled(0).await;
    minute(&site, 0).await;
    site.simulator.set_down(true);
    drop(site.control().check_connectivity().await);
    let began = site.status().since;
    minute(&site, 1).await;
    minute(&site, 2).await;
    site.stop_service().await;
    site.clock.advance(MINUTE * 3);
    site.start_service().await;
    drop(site.control().check_connectivity().await);
    let status = site.status();
    assert_eq!(status.state, State::Offline);
    let apart = (status.since.0 - began.0).num_seconds().abs();
    assert!(apart <= 60, "{} s", apart);
    assert!(status.connectivity.downtime >= 4 * 60, "{status:?}");
    site.simulator.set_down(false);
    drop(site.control().check_connectivity().await);
    let uptime = site.status().connectivity.uptime;
    assert!(uptime < 60, "{uptime} s");
    site.settled().await;
    site.finish().await;
}

#[actix::test]
async fn what_is_asked_for_is_checked_and_settings_are_told() {
    let site = Plan::default().start_settled(0).await;
    for query in ["hours=0", "hours=721", "hours=x", "days=1"] {
        let answered = site.api().get(&format!("/api/v1/history?{query}")).await;
        assert_eq!(answered.status, 400, "{query}");
    }
    let answered = site.api().get("/api/v1/settings").await;
    assert_eq!(answered.status, 200);
    assert!(answered.body["settings"].is_array());
    assert!(site.status().connectivity.next_check_time.is_some());
    site.finish().await;
}
