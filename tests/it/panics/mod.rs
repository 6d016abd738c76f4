//! A panic in every actor, in its handlers, timers and futures, while an upload and its settling are
//! outstanding: nothing is lost or doubled, nobody else is touched, work goes on.

mod askers;

use std::time::Duration;

use awc::http::Method;
use meterit_sync::{demo::client_system::FaultAction, domain::status::ActorState};
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
                milliseconds: 5_000,
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
    site.advance_until("all actors run", STEP, || all_run(&site))
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
            // What a pass finds while it claims, it takes up itself, and nobody has to be told.
            site.until("what was claimed is counted", |status| {
                status.queue.pending == READINGS
            })
            .await;
            site.database.insert(100..105).await;
            clock.advance(Duration::from_secs(2));
            site.eventually("the change is noticed", || {
                site.points.armed("sync_manager.fresh_readings") == 0
            })
            .await;
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
        if case.restarts == Some(&*actor.name) {
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

fn all_run(site: &Site) -> bool {
    let actors = site.status().actors;
    actors
        .iter()
        .all(|actor| actor.state == ActorState::Running)
}
