//! An actor that does not get on with what it has in hand is restarted; one that has nothing to do is left alone.

use std::time::Duration;

use meterit_sync::{
    control::Health,
    domain::status::{ActorState, ActorStatus, State},
};

use crate::helpers::{Plan, Site};

const STEP: Duration = Duration::from_millis(250);
const STANDSTILL: Duration = Duration::from_secs(1);

fn restarted(site: &Site, name: &str) -> Option<ActorStatus> {
    let mut actors = site.status().actors.into_iter();
    actors.find(|actor| actor.name == name && actor.restarts > 0)
}

#[actix::test]
async fn wedged_work_costs_its_actor_a_life_and_no_reading() {
    for (point, actor, words) in [
        (
            "database_writer.group",
            "database_writer",
            "a change of the Sync Database",
        ),
        ("api_client.exchange", "api_client", "an upload"),
        ("sync_manager.pass", "sync_manager", "a sync pass"),
    ] {
        let mut site = Plan::default()
            .longest_standstill(STANDSTILL)
            .start_settled(0)
            .await;
        // Whoever waits for a wedged part stands still as well.
        for waiting in ["database_writer", "api_client", "sync_manager"] {
            site.may_restart(waiting);
        }
        site.points.arm_hang(point);
        site.database.insert(0..20).await;
        site.advance_until("the wedge is found", STEP, || {
            restarted(&site, actor).is_some()
        })
        .await;
        let failure = restarted(&site, actor).and_then(|actor| actor.last_failure);
        let failure = failure.expect("a failure");
        assert!(failure.contains(words), "{point}: {failure}");
        site.advance_until_drained(STEP).await;
        let ledger = site.simulator.ledger();
        assert_eq!(
            (ledger.distinct_readings, ledger.duplicates_after_key),
            (20, 0),
            "{point}"
        );
        site.advance_until("all parts run", STEP, || {
            let mut actors = site.status().actors.into_iter();
            actors.all(|actor| actor.state == ActorState::Running)
        })
        .await;
        assert_eq!(site.control().liveness(), Health::Fine, "{point}");
        site.finish().await;
    }
}

#[actix::test]
async fn offline_or_idle_is_not_wedged() {
    let site = Plan::default()
        .longest_standstill(STANDSTILL)
        .start_settled(0)
        .await;
    tokio::time::sleep(3 * STANDSTILL).await;
    site.simulator.set_down(true);
    site.database.insert(0..5).await;
    site.advance_until("offline", STEP, || site.status().state == State::Offline)
        .await;
    tokio::time::sleep(3 * STANDSTILL).await;
    assert!(site.status().actors.iter().all(|actor| actor.restarts == 0));
    site.simulator.set_down(false);
    site.advance_until_drained(STEP).await;
    site.finish().await;
}

#[actix::test]
async fn a_database_that_does_not_answer_is_told_long_before_it_is_given_up() {
    let site = Plan::default().start_settled(0).await;
    site.points.arm_hang("database_writer.group");
    site.database.insert(0..5).await;
    site.advance_until("the silence is told", STEP, || {
        site.status().state == State::Degraded
    })
    .await;
    let reason = site.status().reason;
    for words in ["does not answer", "look whether its disk hangs"] {
        assert!(reason.contains(words), "{reason}");
    }
    assert_ne!(site.control().readiness(), Health::Fine);
    assert!(site.status().actors.iter().all(|actor| actor.restarts == 0));
}
