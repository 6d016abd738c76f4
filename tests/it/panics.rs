//! A panic in every actor, in its handlers, timers and futures, while an upload and its settling are
//! outstanding: nothing is lost or doubled, nobody else is touched, work goes on.

use std::time::Duration;

use awc::http::Method;
use meterit_sync::{
    app::Ending,
    control::ControlError,
    demo::client_system::{FaultAction, FaultPath, FaultRule},
    domain::status::{ActorState, State},
    supervision::intensity::IntensityLimit,
};
use serde_json::json;

use crate::helpers::{Plan, Site, on_batch};

const STEP: Duration = Duration::from_millis(100);
const READINGS: u64 = 20;

/// What makes the service pass a failure point that the outstanding upload alone does not.
#[derive(Clone, Copy, Debug)]
enum Stimulus {
    /// The upload's answer comes, and time passes.
    Nothing,
    Trigger,
    StopAndStart,
    Heartbeat,
    Download,
    Check,
    Store,
    /// Another program inserts, and the change is noticed.
    Insert,
    /// The link goes and comes.
    Outage,
    /// Every periodic job comes due.
    Day,
}

struct Case {
    point: &'static str,
    /// The actor that is restarted; a future beside the actors costs none of them its life.
    restarts: Option<&'static str>,
    stimulus: Stimulus,
}

const fn case(point: &'static str, restarts: Option<&'static str>, stimulus: Stimulus) -> Case {
    Case {
        point,
        restarts,
        stimulus,
    }
}

const API_CLIENT: Option<&str> = Some("api_client");
const MONITOR: Option<&str> = Some("connectivity_monitor");
const WRITER: Option<&str> = Some("database_writer");
const MANAGER: Option<&str> = Some("sync_manager");
const HEARTBEAT: Option<&str> = Some("heartbeat");
const DOWNLOADER: Option<&str> = Some("config_downloader");

#[actix::test]
async fn the_api_client_fails() {
    for case in [
        case("api_client.upload", API_CLIENT, Stimulus::Nothing),
        case("api_client.call", API_CLIENT, Stimulus::Heartbeat),
        case("api_client.exchange", None, Stimulus::Nothing),
    ] {
        fails(case).await;
    }
}

#[actix::test]
async fn the_sync_manager_fails() {
    for case in [
        case("sync_manager.finish_pass", MANAGER, Stimulus::Nothing),
        case("sync_manager.timer", MANAGER, Stimulus::Day),
        case("sync_manager.handler", MANAGER, Stimulus::StopAndStart),
        case("sync_manager.trigger", MANAGER, Stimulus::Trigger),
        case("sync_manager.fresh_readings", MANAGER, Stimulus::Insert),
        case("sync_manager.link_changed", MANAGER, Stimulus::Outage),
        case("sync_manager.wishes", MANAGER, Stimulus::Download),
        case("sync_manager.delivery", None, Stimulus::Nothing),
    ] {
        fails(case).await;
    }
}

#[actix::test]
async fn the_database_writer_fails() {
    for case in [
        case("database_writer.handler", WRITER, Stimulus::Nothing),
        case("database_writer.apply", WRITER, Stimulus::Nothing),
        case("database_writer.settle", WRITER, Stimulus::Nothing),
        case("database_writer.before_commit", WRITER, Stimulus::Nothing),
        case("database_writer.after_commit", WRITER, Stimulus::Nothing),
        case("database_writer.timer", WRITER, Stimulus::Nothing),
        case("database_writer.handler", WRITER, Stimulus::Store),
        case("database_writer.after_commit", WRITER, Stimulus::Store),
    ] {
        fails(case).await;
    }
}

#[actix::test]
async fn the_connectivity_monitor_fails() {
    for case in [
        case("connectivity_monitor.timer", MONITOR, Stimulus::Day),
        case("connectivity_monitor.check", MONITOR, Stimulus::Check),
        case("connectivity_monitor.force_check", MONITOR, Stimulus::Check),
        case("connectivity_monitor.evidence", MONITOR, Stimulus::Nothing),
    ] {
        fails(case).await;
    }
}

#[actix::test]
async fn the_heartbeat_fails() {
    for case in [
        case("heartbeat.timer", HEARTBEAT, Stimulus::Day),
        case("heartbeat.send", HEARTBEAT, Stimulus::Heartbeat),
        case("heartbeat.handler", HEARTBEAT, Stimulus::Heartbeat),
    ] {
        fails(case).await;
    }
}

#[actix::test]
async fn the_configuration_downloader_fails() {
    for case in [
        case("config_downloader.timer", DOWNLOADER, Stimulus::Day),
        case("config_downloader.download", DOWNLOADER, Stimulus::Download),
        case("config_downloader.handler", DOWNLOADER, Stimulus::Download),
    ] {
        fails(case).await;
    }
}

/// An upload is on the wire, its settling is to come; then the point panics once.
async fn fails(case: Case) {
    eprintln!("{}, {:?}", case.point, case.stimulus);
    let mut site = Plan::default()
        .batch_size(5)
        .setting("sync_interval_minutes", "5")
        .setting("config_download_interval_minutes", "1440")
        .fault(
            on_batch(FaultAction::Delay {
                milliseconds: 2_000,
            })
            .times(2),
        )
        .start_settled(READINGS)
        .await;
    site.control().trigger_sync().await.expect("a pass");
    site.eventually("an upload is outstanding", || site.batches().len() == 1)
        .await;
    site.points.arm(case.point, 1);
    let stored = provoke(&site, case.stimulus).await;
    site.advance_until("the planned failure", STEP, || {
        site.points.armed(case.point) == 0
    })
    .await;
    site.simulator.set_down(false);
    site.advance_until_drained(STEP).await;
    site.advance_until("all actors run", STEP, || {
        let actors = site.status().actors;
        actors
            .iter()
            .all(|actor| actor.state == ActorState::Running)
    })
    .await;
    assert_survived(&site, &case);
    let ledger = site.simulator.ledger();
    assert_eq!(
        ledger.distinct_readings,
        READINGS + stored,
        "{}: lost",
        case.point
    );
    assert_eq!(ledger.duplicates_after_key, 0, "{}: doubled", case.point);
    assert_eq!(site.database.count("quarantined_readings").await, 0);
    assert_works_on(&site, &case).await;
    case.restarts
        .into_iter()
        .for_each(|actor| site.may_restart(actor));
    site.finish().await;
}

/// Returns how many further readings are in the queue for it.
async fn provoke(site: &Site, stimulus: Stimulus) -> u64 {
    let (control, clock) = (site.control(), site.clock.clone());
    // Whoever asks a part that fails over the question gets an error; how fast is asserted elsewhere.
    match stimulus {
        Stimulus::Nothing => {}
        Stimulus::Trigger => drop(control.trigger_sync().await),
        Stimulus::StopAndStart => {
            assert!(control.stop_sync().await.is_err());
            clock.advance(Duration::from_secs(1));
            let _ = control.start_sync().await;
        }
        Stimulus::Heartbeat => drop(control.send_heartbeat().await),
        Stimulus::Download => drop(control.download_config().await),
        Stimulus::Check => drop(control.check_connectivity().await),
        Stimulus::Store => return store_despite_the_failure(site).await,
        Stimulus::Insert => {
            site.database.insert(100..105).await;
            return 5;
        }
        Stimulus::Outage => {
            site.simulator.set_down(true);
            drop(control.check_connectivity().await);
        }
        Stimulus::Day => clock.advance(Duration::from_secs(24 * 3600)),
    }
    0
}

/// The caller cannot know what became of the first request, and repeats it under its key.
async fn store_despite_the_failure(site: &Site) -> u64 {
    let store = || {
        let request = site.api().request(Method::POST, "/api/v1/readings");
        let reading = json!([{
            "meter_external_id": "M-posted",
            "timestamp": "2026-03-01T11:00:00.000Z",
            "data_point": "energy_total",
            "value": 4711,
        }]);
        crate::helpers::answered(
            request
                .insert_header(("Idempotency-Key", "once"))
                .send_json(&reading),
        )
    };
    assert_eq!(store().await.status, 503);
    site.clock.advance(Duration::from_secs(1));
    let repeated = store().await;
    assert!(matches!(repeated.status, 200 | 201), "{repeated:?}");
    1
}

fn assert_survived(site: &Site, case: &Case) {
    for actor in site.status().actors {
        if case.restarts == Some(actor.name) {
            assert_eq!(
                (actor.restarts, actor.generation),
                (1, 2),
                "{}: {actor:#?}",
                case.point
            );
            let failure = actor.last_failure.unwrap_or_default();
            assert!(failure.contains(case.point), "{}: {failure}", case.point);
            assert!(actor.last_failure_at.is_some(), "{}", case.point);
        } else {
            assert_eq!(
                (actor.restarts, actor.generation),
                (0, 1),
                "{}: {actor:#?}",
                case.point
            );
        }
    }
}

async fn assert_works_on(site: &Site, case: &Case) {
    let control = site.control();
    site.database.insert(1_000..1_005).await;
    let report = control.trigger_sync_and_wait().await.expect(case.point);
    assert_eq!(report.delivered, 5, "{}", case.point);
    control.send_heartbeat().await.expect(case.point);
    control.download_config().await.expect(case.point);
    let link = control.check_connectivity().await.expect(case.point);
    assert!(link.is_connected, "{}", case.point);
}

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
    site.until("restarted", |status| {
        status
            .actors
            .iter()
            .all(|actor| actor.state == ActorState::Running)
    })
    .await;
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
        restarts == 5
            && actors
                .iter()
                .all(|actor| actor.state == ActorState::Running)
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
