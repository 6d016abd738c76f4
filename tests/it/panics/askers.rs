//! Those who ask a part that fails: an answer within seconds, and an end of the service when it fails too often.

use std::time::Duration;

use meterit_sync::{
    app::Ending,
    control::ControlError,
    demo::client_system::{FaultAction, FaultPath, FaultRule},
    domain::status::{ActorState, State},
    supervision::intensity::IntensityLimit,
};

use super::{STEP, all_run};
use crate::helpers::{Plan, on_batch};

#[actix::test]
async fn whoever_asks_a_part_that_is_being_restarted_gets_an_answer_within_seconds() {
    let mut site = Plan::default().start_settled(0).await;
    site.may_restart("sync_manager");
    site.points.arm("sync_manager.trigger", 1);
    let api = site.api();
    let failed = api.post("/api/v1/sync/trigger").await;
    assert_eq!((failed.status, failed.problem()), (503, "part-restarting"));
    // Time stands still, and with it the pause before the restart.
    let silent = tokio::time::timeout(
        Duration::from_secs(8),
        api.post("/api/v1/sync/trigger?wait=false"),
    );
    let silent = silent.await.expect("no hang");
    assert_eq!((silent.status, silent.problem()), (503, "part-silent"));
    let status = api.get("/status").await;
    assert_eq!(status.body["state"], "degraded", "{status:?}");
    assert_eq!(api.get("/health/live").await.status, 200);
    site.clock.advance(Duration::from_secs(1));
    site.eventually("restarted", || all_run(&site)).await;
    site.settled().await;
    let again = api.post("/api/v1/sync/trigger?wait=true").await;
    assert_eq!(again.status, 200, "{again:?}");
    site.finish().await;
}

#[actix::test]
async fn whoever_waits_for_a_pass_hears_of_the_restart() {
    let mut site = Plan::default()
        .fault(
            on_batch(FaultAction::Delay {
                milliseconds: 2_000,
            })
            .times(1),
        )
        .start_settled(5)
        .await;
    site.may_restart("sync_manager");
    let control = site.control();
    let waiting = actix::spawn(async move { control.trigger_sync_and_wait().await });
    site.eventually("an upload is outstanding", || site.batches().len() == 1)
        .await;
    site.points.arm("sync_manager.trigger", 1);
    assert!(site.control().trigger_sync().await.is_err());
    let answer = waiting.await.expect("no panic of its own");
    assert!(
        matches!(
            answer,
            Err(ControlError::Refused(_) | ControlError::Unanswered(_))
        ),
        "{answer:?}"
    );
    site.advance_until_drained(STEP).await;
    assert_eq!(site.simulator.ledger().readings_stored, 5);
    site.finish().await;
}

#[actix::test]
async fn too_many_failures_end_the_service() {
    let mut site = Plan::default()
        .intensity(IntensityLimit {
            restarts: 2,
            within: Duration::from_secs(60),
        })
        .fault(FaultRule::on(
            FaultPath::Batch,
            FaultAction::Delay {
                milliseconds: 60_000,
            },
        ))
        .start_settled(5)
        .await;
    site.control().trigger_sync().await.expect("a pass");
    site.eventually("an upload is outstanding", || site.batches().len() == 1)
        .await;
    site.points.arm("heartbeat.handler", 10);
    for restarts in 1..=2 {
        assert!(site.control().send_heartbeat().await.is_err());
        site.advance_until("restarted", STEP, || {
            let actors = site.status().actors;
            let heartbeat = actors.iter().find(|actor| actor.name == "heartbeat");
            heartbeat.is_some_and(|actor| {
                actor.restarts == restarts && actor.state == ActorState::Running
            })
        })
        .await;
    }
    assert_eq!(site.status().state, State::Syncing);
    assert!(site.control().send_heartbeat().await.is_err());
    let Ending::Escalated(escalation) = site.ended().await else {
        panic!("the service ended as if asked to");
    };
    assert_eq!(escalation.actor, "heartbeat");
    assert!(
        escalation.failure.contains("heartbeat.handler"),
        "{escalation}"
    );
    assert_eq!(site.database.pending().await, 5);
    site.points.arm("heartbeat.handler", 0);
    // The end of the process would have cut the connection; here the answer has to be let go.
    site.simulator.clear_faults();
    site.clock.advance(Duration::from_secs(60));
    while site.batches()[0].status.is_none() {
        tokio::task::yield_now().await;
    }
    site.start_service().await;
    site.drained().await;
    site.control()
        .send_heartbeat()
        .await
        .expect("the next start is sound");
    let ledger = site.simulator.ledger();
    assert_eq!((ledger.distinct_readings, ledger.keys), (5, 1));
    site.finish().await;
}

#[actix::test]
async fn a_settling_that_waits_for_another_program_survives_the_failures_of_all_others() {
    let mut site = Plan::default()
        .fault(
            on_batch(FaultAction::Delay {
                milliseconds: 2_000,
            })
            .times(1),
        )
        .start_settled(5)
        .await;
    site.control().trigger_sync().await.expect("a pass");
    site.eventually("an upload is outstanding", || site.batches().len() == 1)
        .await;
    let mut lock = site.database.connect().await;
    sqlx::raw_sql("BEGIN IMMEDIATE")
        .execute(&mut lock)
        .await
        .expect("the lock");
    site.advance_until("the answer", STEP, || site.batches()[0].status.is_some())
        .await;
    let control = site.control();
    for point in [
        "api_client.call",
        "heartbeat.handler",
        "config_downloader.handler",
        "connectivity_monitor.force_check",
        "sync_manager.trigger",
    ] {
        site.points.arm(point, 1);
        let (actor, _) = point.split_once('.').expect("an actor's name");
        site.may_restart(actor);
    }
    // Each fails over the question itself; the API client over what a restarted part asks of it.
    assert!(control.send_heartbeat().await.is_err());
    assert!(control.download_config().await.is_err());
    assert!(control.check_connectivity().await.is_err());
    assert!(control.trigger_sync().await.is_err());
    site.advance_until("all parts run again", STEP, || {
        let actors = site.status().actors;
        let restarts: u64 = actors.iter().map(|actor| actor.restarts).sum();
        restarts == 5 && all_run(&site)
    })
    .await;
    assert_eq!(site.database.pending().await, 5, "nothing is settled yet");
    sqlx::raw_sql("COMMIT")
        .execute(&mut lock)
        .await
        .expect("the end of the lock");
    site.advance_until_drained(STEP).await;
    let ledger = site.simulator.ledger();
    assert_eq!((ledger.readings_stored, ledger.batches_received), (5, 1));
    let restarted = site.status().actors;
    assert_eq!(
        restarted.iter().filter(|actor| actor.restarts == 1).count(),
        5
    );
    site.finish().await;
}
