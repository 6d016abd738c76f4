//! Answers that leave open whether the batch was stored: the same bytes go out again under the same key.

use std::time::Duration;

use meterit_sync::{
    control::ControlError,
    demo::client_system::{Deduplication, FaultAction, FaultRule},
};

use crate::helpers::{Plan, Site, answer, on_batch};

struct Case {
    name: &'static str,
    fault: FaultRule,
    /// Whether the Client System has stored the batch nevertheless.
    stored: bool,
}

fn cases() -> Vec<Case> {
    let once = |action: FaultAction| on_batch(action).times(1);
    let before = |name, action| Case {
        name,
        fault: once(action),
        stored: false,
    };
    let after_commit = |name, action| Case {
        name,
        fault: once(action).after_commit(),
        stored: true,
    };
    vec![
        before("reset after the request", FaultAction::Reset),
        after_commit("reset after the commit", FaultAction::Reset),
        before("closed without an answer", FaultAction::Close),
        after_commit("closed after the commit", FaultAction::Close),
        before("a truncated 2xx", FaultAction::Truncate { keep_bytes: 12 }),
        after_commit(
            "a truncated 2xx after the commit",
            FaultAction::Truncate { keep_bytes: 12 },
        ),
        before("a 2xx that is no JSON", FaultAction::Garbage),
        after_commit(
            "a 2xx that is no JSON after the commit",
            FaultAction::Garbage,
        ),
        before("an empty 2xx", answer(200, "")),
        before("a 2xx with a list", answer(200, "[]")),
        before("a 204", answer(204, "")),
        before("an interim answer", answer(100, "")),
        before("an endless 2xx", FaultAction::Gigantic { bytes: 64 << 20 }),
    ]
}

#[actix::test]
async fn the_same_bytes_go_out_again_under_the_same_key() {
    for case in cases() {
        let site = Plan::default().fault(case.fault.clone()).start(5).await;
        eprintln!("{}", case.name);
        site.pause_of(Duration::from_secs(2), 1).await;
        site.drained().await;
        assert_repeated(&site, case.name);
        let ledger = site.simulator.ledger();
        let doubled = if case.stored { 5 } else { 0 };
        assert_eq!(ledger.raw_duplicates, doubled, "{}", case.name);
        site.finish().await;
    }
}

#[actix::test]
async fn a_server_that_knows_the_key_stores_nothing_twice() {
    for deduplication in [Deduplication::ReplayAnswer, Deduplication::NothingInserted] {
        for case in cases().into_iter().filter(|case| case.stored) {
            let site = Plan::default()
                .client_system(|options| options.deduplication = deduplication)
                .fault(case.fault)
                .start(5)
                .await;
            site.pause_of(Duration::from_secs(2), 1).await;
            site.drained().await;
            assert_repeated(&site, case.name);
            assert_eq!(site.simulator.ledger().raw_duplicates, 0, "{}", case.name);
            site.finish().await;
        }
    }
}

/// One outage-free repetition, and the status owns up to it.
fn assert_repeated(site: &Site, name: &str) {
    let batches = site.batches();
    assert_eq!(batches.len(), 2, "{name}");
    assert_eq!(batches[0].key, batches[1].key, "{name}");
    assert_eq!(batches[0].body_hash, batches[1].body_hash, "{name}");
    let (ledger, status) = (site.simulator.ledger(), site.status());
    assert_eq!(
        (ledger.distinct_readings, ledger.duplicates_after_key),
        (5, 0),
        "{name}"
    );
    assert_eq!(status.queue.possibly_doubled_uploads, 1, "{name}");
    assert_eq!(status.queue.quarantined, 0, "{name}");
    assert!(status.connectivity.is_connected, "{name}");
    assert_eq!(status.connectivity.last_failed_connection, None, "{name}");
}

const NAMED: &str =
    r#"{"success":false,"errors":[{"path":"readings[2].unit","msg":"no unit of ours"}]}"#;
const SKIPPED: &str = r#"{"success":true,"inserted":4,"skipped":1,"errors":[{"meter_external_id":"M-2","error":"duplicate key"}]}"#;

/// What is in quarantine, and why.
async fn set_aside(site: &Site) -> Vec<String> {
    let entries = "SELECT meter_external_id || ' ' || reason || ' ' || status AS it FROM quarantined_readings";
    site.database.column(entries).await
}

#[actix::test]
async fn what_is_refused_after_an_open_end_may_be_stored() {
    for (refusal, found) in [
        (answer(400, NAMED), "M-2 possibly_stored 400"),
        (answer(422, NAMED), "M-2 possibly_stored 422"),
        (answer(200, SKIPPED), "M-2 possibly_stored 200"),
    ] {
        let site = Plan::default()
            .fault(on_batch(FaultAction::Close).times(1).after_commit())
            .fault(on_batch(refusal).times(1))
            .start(5)
            .await;
        site.pause_of(Duration::from_secs(2), 1).await;
        site.drained().await;
        assert_eq!(set_aside(&site).await, [found]);
        assert_eq!(site.status().queue.possibly_doubled_uploads, 1);
        // It does not return unless a person accepts a double.
        let returned = site.control().requeue_entry(1, false).await;
        assert!(
            matches!(returned, Err(ControlError::PossiblyStored)),
            "{returned:?}"
        );
        site.finish().await;
    }
}

#[actix::test]
async fn a_lone_reading_that_is_refused_after_an_open_end_may_be_stored() {
    for status in [400, 413, 422] {
        let on_it = |action| on_batch(action).containing_meter("M-9").times(1);
        let site = Plan::default()
            .fault(on_it(FaultAction::Close).after_commit())
            .fault(on_it(answer(status, "no")).times(2))
            .start_settled(3)
            .await;
        // What was accepted before proves that the server takes others.
        assert_eq!(site.pass().await.delivered, 3);
        site.database.insert(9..10).await;
        site.control().trigger_sync().await.expect("a pass");
        site.eventually("the first sending", || site.batches().len() == 2)
            .await;
        site.pause_of(Duration::from_secs(2), 2).await;
        site.pause_of(Duration::from_secs(4), 3).await;
        site.drained().await;
        assert_eq!(
            set_aside(&site).await,
            [format!("M-9 possibly_stored {status}")]
        );
        site.finish().await;
    }
}

#[actix::test]
async fn a_passing_refusal_after_an_open_end_doubles_nothing_where_the_key_is_known() {
    for (status, words) in [
        (413, "<html>413 Request Entity Too Large</html>"),
        (400, "Bad Request"),
        (
            200,
            r#"{"success":true,"inserted":4,"skipped":1,"errors":[{"meter_external_id":"M-4","error":"current transaction is aborted"}]}"#,
        ),
    ] {
        let site = Plan::default()
            .client_system(|options| options.deduplication = Deduplication::ReplayAnswer)
            .fault(on_batch(FaultAction::Close).times(1).after_commit())
            .fault(on_batch(answer(status, words)).times(1))
            .start(5)
            .await;
        site.pause_of(Duration::from_secs(2), 1).await;
        site.pause_of(Duration::from_secs(4), 2).await;
        site.drained().await;
        let ledger = site.simulator.ledger();
        assert_eq!((ledger.keys, ledger.batches_received), (1, 3), "{status}");
        assert_eq!(
            (ledger.distinct_readings, ledger.raw_duplicates),
            (5, 0),
            "{status}"
        );
        assert_eq!(site.status().queue.quarantined, 0, "{status}");
        site.finish().await;
    }
}

#[actix::test]
async fn possible_doubles_are_counted_over_restarts() {
    let mut site = Plan::default()
        .fault(on_batch(FaultAction::Close).times(1).after_commit())
        .start(5)
        .await;
    site.pause_of(Duration::from_secs(2), 1).await;
    site.drained().await;
    for _ in 0..2 {
        site.stop_service().await;
        site.start_service().await;
        site.until("the count", |status| {
            status.queue.possibly_doubled_uploads == 1
        })
        .await;
    }
    site.finish().await;
}

#[actix::test]
async fn a_response_that_never_comes_is_ambiguous_and_a_health_check_decides_about_the_link() {
    let site = Plan::default()
        .setting("api_timeout", "1000")
        .fault(on_batch(FaultAction::Hang).times(1))
        .start(5)
        .await;
    let checks = || site.simulator.ledger().requests.get("/api/health").copied();
    site.eventually("the first sending", || site.batches().len() == 1)
        .await;
    let before = checks();
    site.eventually("a health check after the timeout", || checks() > before)
        .await;
    site.pause_of(Duration::from_secs(2), 1).await;
    site.drained().await;
    assert_repeated(&site, "no response");
    assert_eq!(checks(), before.map(|count| count + 1), "one check decides");
    site.finish().await;
}

#[actix::test]
async fn a_pooled_connection_that_the_server_closed_is_no_outage() {
    let idle = Duration::from_millis(400);
    let site = Plan::default()
        .client_system(|options| options.keep_alive = idle)
        .start(5)
        .await;
    site.drained().await;
    for round in 1..4 {
        // Idleness itself is what provokes the fault: by now the server has closed the connection.
        tokio::time::sleep(idle * 3).await;
        site.database.insert(round * 10..round * 10 + 5).await;
        let report = site.control().trigger_sync_and_wait().await;
        assert_eq!(report.expect("no outage").delivered, 5);
    }
    let status = site.status();
    assert_eq!(status.connectivity.last_failed_connection, None);
    assert_eq!(site.simulator.ledger().readings_stored, 20);
    site.finish().await;
}
