//! Another program gives the ids of readings that are on their way to other readings: what happens to the batch happens to
//! none of these. What it only corrects counts as sent as it was.

use std::time::Duration;

use meterit_sync::demo::client_system::FaultAction;

use crate::helpers::{Plan, Site, answer, on_batch};

const NAMED: &str = r#"{"success":false,"errors":[{"path":"readings[2].unit","msg":"bad"}]}"#;

/// Five readings whose first sending failed, and in their place five new ones with the same ids.
async fn with_new_readings(plan: Plan) -> Site {
    let site = plan.start(5).await;
    site.eventually("the first sending", || site.batches().len() == 1)
        .await;
    site.database
        .execute(
            "DELETE FROM meter_readings; DELETE FROM sqlite_sequence WHERE name = 'meter_readings'",
        )
        .await;
    site.database.insert_as("'NEW-' || n", 10..15).await;
    // Programs fill this column in ways of their own, or not at all: nothing is to be known by it.
    site.database
        .execute("UPDATE meter_readings SET created_at = NULL")
        .await;
    let same_ids = "meter_readings WHERE id BETWEEN 1 AND 5 AND meter_external_id LIKE 'NEW-%'";
    assert_eq!(site.database.count(same_ids).await, 5);
    site
}

/// What became of the batch; then the new readings go under a key of their own.
async fn assert_new_ones_arrive(site: Site, old: u64) {
    site.pause_of(Duration::from_secs(2), 1).await;
    site.advance_until("the new ones to arrive", Duration::from_secs(1), || {
        (10..15).all(|number| site.arrivals().contains_key(&format!("NEW-{number}")))
    })
    .await;
    site.drained().await;
    let ledger = site.simulator.ledger();
    assert_eq!(
        (ledger.distinct_readings, ledger.raw_duplicates),
        (old + 5, 0),
        "{ledger:?}"
    );
    assert_eq!(site.database.count("upload_manifests").await, 0);
    assert_eq!(site.database.count("quarantined_readings").await, 0);
    assert_eq!(site.status().queue.pending, 0);
    site.finish().await;
}

#[actix::test]
async fn a_batch_that_is_stored_takes_no_new_readings_with_it() {
    for keep in ["false", "true"] {
        let plan = Plan::default()
            .setting("keep_synchronized", keep)
            .fault(on_batch(answer(500, "")).times(1));
        assert_new_ones_arrive(with_new_readings(plan).await, 5).await;
    }
}

#[actix::test]
async fn a_batch_that_is_refused_takes_no_new_readings_with_it() {
    let plan = Plan::default()
        .fault(on_batch(FaultAction::Close).times(1))
        .fault(on_batch(answer(400, NAMED)).times(1));
    assert_new_ones_arrive(with_new_readings(plan).await, 4).await;
}

#[actix::test]
async fn a_batch_that_is_split_for_its_size_takes_no_new_readings_with_it() {
    let plan = Plan::default()
        .fault(on_batch(FaultAction::Close).times(1))
        .fault(on_batch(answer(413, "")).times(1));
    assert_new_ones_arrive(with_new_readings(plan).await, 5).await;
}

/// What another program does to five readings whose first sending had an open end; each is there once in the end.
async fn with_an_edit(edit: &str) {
    for keep in ["false", "true"] {
        let plan = Plan::default()
            .setting("keep_synchronized", keep)
            .fault(on_batch(FaultAction::Close).times(1).after_commit());
        let site = plan.start(5).await;
        site.eventually("the first sending", || site.batches().len() == 1)
            .await;
        site.database.execute(edit).await;
        site.pause_of(Duration::from_secs(2), 1).await;
        site.drained().await;
        let ledger = site.simulator.ledger();
        assert_eq!(
            (ledger.distinct_readings, ledger.duplicates_after_key),
            (5, 0),
            "{edit}: {ledger:?}"
        );
        assert_eq!(site.database.count("upload_manifests").await, 0);
        assert_eq!(site.status().queue.pending, 0);
        site.finish().await;
    }
}

#[actix::test]
async fn what_is_edited_on_its_way_counts_as_sent() {
    for edit in [
        "value = 70.5 WHERE id = 3",
        "value = 0, unit = NULL",
        "value = 'n/a'",
        "created_at = '2020-01-01', retry_count = 7",
    ] {
        with_an_edit(&format!("UPDATE meter_readings SET {edit}")).await;
    }
}
