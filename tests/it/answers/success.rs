//! 2xx: stored, or stored in part.

use std::time::Duration;

use meterit_sync::{
    demo::client_system::{Deduplication, FaultAction, PartialFault, Rollback},
    domain::status::State,
};

use crate::helpers::{Plan, answer, on_batch};

/// Longer than the first pause between two tries, its random extra included.
const A_RETRY: Duration = Duration::from_secs(3);

#[actix::test]
async fn what_is_stored_leaves_the_queue_and_is_logged() {
    let site = Plan::default().batch_size(10).start(25).await;
    site.drained().await;
    let ledger = site.simulator.ledger();
    assert_eq!((ledger.readings_stored, ledger.distinct_readings), (25, 25));
    let sizes: Vec<usize> = site.batches().iter().map(|batch| batch.readings).collect();
    assert_eq!(sizes, [10, 10, 5]);
    assert_eq!(site.database.count("meter_readings").await, 0);
    let log = site
        .database
        .column("SELECT batch_size || ' ' || success AS it FROM sync_log ORDER BY id")
        .await;
    assert_eq!(log, ["10 1", "10 1", "5 1"]);
    let status = site.status();
    assert_eq!(
        (status.sync.total_synced, status.sync.total_failed),
        (25, 0)
    );
    assert_eq!(status.sync.last_sync_success, Some(true));
    assert_eq!(status.state, State::Ok);
    site.finish().await;
}

#[actix::test]
async fn with_retention_on_readings_are_marked_instead_of_deleted() {
    let site = Plan::default()
        .setting("keep_synchronized", "true")
        .start(5)
        .await;
    site.drained().await;
    let kept =
        "meter_readings WHERE is_synchronized = 1 AND synchronized_at = '2026-03-01 12:00:00.000'";
    assert_eq!(site.database.count(kept).await, 5);
    assert_eq!(site.simulator.ledger().distinct_readings, 5);
    site.finish().await;
}

#[actix::test]
async fn a_success_without_counts_or_with_the_right_ones_is_stored() {
    for body in [
        r#"{"success":true}"#,
        r#"{"success":true,"inserted":5}"#,
        r#"{"success":true,"skipped":0}"#,
        r#"{"success":true,"inserted":5,"skipped":0,"errors":[],"message":"ok"}"#,
    ] {
        for status in [200, 201, 202] {
            let site = Plan::default()
                .fault(on_batch(answer(status, body)))
                .start(5)
                .await;
            site.drained().await;
            assert_eq!(site.batches().len(), 1, "{status} {body}");
            assert_eq!(site.status().queue.quarantined, 0, "{status} {body}");
            site.finish().await;
        }
    }
}

#[actix::test]
async fn an_aborted_transaction_stored_nothing_and_its_bad_row_is_isolated() {
    for rollback in [Rollback::Aborting, Rollback::AbortingInGerman] {
        let site = Plan::default()
            .client_system(move |options| {
                options.rollback = rollback;
                options.failing_meters = vec!["M-4".to_owned()];
            })
            .start(10)
            .await;
        site.drained().await;
        let ledger = site.simulator.ledger();
        assert_eq!((ledger.distinct_readings, ledger.raw_duplicates), (9, 0));
        let set_aside = site
            .database
            .column("SELECT meter_external_id || ' ' || reason AS it FROM quarantined_readings")
            .await;
        assert_eq!(set_aside, ["M-4 refused"], "{rollback:?}");
        site.finish().await;
    }
}

#[actix::test]
async fn a_failing_last_row_never_costs_the_readings_before_it() {
    // The aborting server counts nine as inserted, stores none, and says so in no word.
    let site = Plan::default()
        .client_system(|options| options.failing_meters = vec!["M-9".to_owned()])
        .start(10)
        .await;
    site.drained().await;
    let stored = site.simulator.ledger().distinct_readings;
    let set_aside = site.database.count("quarantined_readings").await;
    assert_eq!(stored + set_aside, 10, "{stored} stored");
    site.finish().await;
}

#[actix::test]
async fn exactly_the_named_rows_go_to_quarantine() {
    let site = Plan::default()
        .client_system(|options| {
            options.rollback = Rollback::Savepoint;
            options.failing_meters = vec!["M-2".to_owned(), "M-5".to_owned()];
        })
        .start(10)
        .await;
    site.drained().await;
    assert_eq!(site.batches().len(), 1);
    assert_eq!(site.simulator.ledger().distinct_readings, 8);
    let set_aside = site
        .database
        .column(
            "SELECT meter_external_id || ' ' || reason || ' ' || status || ' ' || (message LIKE '%foreign key%')
             AS it FROM quarantined_readings ORDER BY id",
        )
        .await;
    assert_eq!(set_aside, ["M-2 refused 200 1", "M-5 refused 200 1"]);
    site.finish().await;
}

#[actix::test]
async fn nothing_inserted_under_a_repeated_key_is_a_replay() {
    let site = Plan::default()
        .client_system(|options| options.deduplication = Deduplication::NothingInserted)
        .fault(on_batch(FaultAction::Reset).times(1).after_commit())
        .start(5)
        .await;
    site.pause_of(Duration::from_secs(2), 1).await;
    site.drained().await;
    let ledger = site.simulator.ledger();
    assert_eq!((ledger.distinct_readings, ledger.raw_duplicates), (5, 0));
    assert_eq!((ledger.keys, ledger.batches_received), (1, 2));
    assert_eq!(site.status().queue.quarantined, 0);
    site.finish().await;
}

#[actix::test]
async fn nothing_inserted_under_a_first_key_is_no_replay() {
    let site = Plan::default()
        .fault(on_batch(answer(
            200,
            r#"{"success":true,"inserted":0,"skipped":0,"errors":[]}"#,
        )))
        .start(5)
        .await;
    site.drained().await;
    let possibly = "quarantined_readings WHERE reason = 'possibly_stored'";
    assert_eq!(site.database.count(possibly).await, 5);
    site.finish().await;
}

/// A partial success that does not say which rows it means, over ten readings.
struct Unclear {
    name: &'static str,
    /// The meter of each reading, an SQL expression over `n`.
    meters: &'static str,
    fault: PartialFault,
    /// How many readings may be meant.
    doubtful: u64,
}

#[actix::test]
async fn what_may_be_meant_is_set_aside_and_not_sent_again_by_itself() {
    let hidden = PartialFault {
        rows: vec![3],
        hide_errors: true,
        rollback: Some(Rollback::Savepoint),
        ..PartialFault::default()
    };
    let named = PartialFault {
        hide_errors: false,
        ..hidden.clone()
    };
    for case in [
        Unclear {
            name: "skipped rows without entries",
            meters: "'M-' || n",
            fault: hidden,
            doubtful: 10,
        },
        Unclear {
            name: "one of two readings of a meter",
            meters: "'M-' || (n / 2)",
            fault: named,
            doubtful: 2,
        },
    ] {
        what_may_be_meant(case).await;
    }
}

async fn what_may_be_meant(case: Unclear) {
    let mut site = Plan::default()
        .fault(on_batch(FaultAction::Partial(case.fault)))
        .prepare()
        .await;
    site.database.insert_as(case.meters, 0..10).await;
    site.start_service().await;
    site.drained().await;
    let possibly =
        "quarantined_readings WHERE reason = 'possibly_stored' AND message <> '' AND status = 200";
    assert_eq!(
        site.database.count(possibly).await,
        case.doubtful,
        "{}",
        case.name
    );
    assert_eq!(
        site.status().sync.total_synced,
        10 - case.doubtful,
        "{}",
        case.name
    );
    let report = site
        .control()
        .trigger_sync_and_wait()
        .await
        .expect(case.name);
    assert_eq!(report.requests, 0, "{}", case.name);
    assert_eq!(site.batches().len(), 1, "{}", case.name);
    site.finish().await;
}

#[actix::test]
async fn a_success_that_says_false_without_more_is_ambiguous() {
    let site = Plan::default()
        .fault(on_batch(FaultAction::Unsuccessful).times(1))
        .start(5)
        .await;
    site.at_rest_with(1).await;
    site.clock.advance(A_RETRY);
    site.drained().await;
    let batches = site.batches();
    assert_eq!(batches.len(), 2);
    assert_eq!(batches[0].key, batches[1].key);
    assert_eq!(site.status().queue.quarantined, 0);
    assert_eq!(site.simulator.ledger().distinct_readings, 5);
    site.finish().await;
}
