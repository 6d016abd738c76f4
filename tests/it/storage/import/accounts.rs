//! What an import brings, and what it says about it.

use meterit_sync::domain::import::ImportAccount;

use super::queue::*;
use crate::storage::site::*;

#[tokio::test]
async fn everything_is_moved_once_and_accounted_for() {
    let site = Move::filled().await;
    let expected = site.fitting().await;
    assert_eq!(expected.readings.len() as u64, GOOD);
    assert_eq!(expected.batches.len(), 2);
    let outcome = site.import().await.unwrap();
    let arrived = site.arrived().await;
    assert_eq!(arrived, expected);
    assert!(arrived.batches[0].contains("(gone)"), "{arrived:#?}");
    assert_eq!(site.left().await, "0");
    let account = ImportAccount {
        pending: 36,
        synchronized: 4,
        set_aside: 7,
        batches: 2,
        quarantined: 12,
        audit: 15,
        sync_log: 11,
        ingestion_keys: 7,
    };
    assert_eq!(outcome.by_this_run, account);
    assert_eq!(outcome.in_all, account);
    assert_eq!(
        (
            outcome.copies.meters,
            outcome.copies.meters_passed_over,
            outcome.copies.facts
        ),
        (1, 1, 2)
    );

    let again = site.import().await.unwrap();
    assert_eq!(again.by_this_run, ImportAccount::default());
    assert_eq!(again.in_all, account);
    assert_eq!(site.arrived().await, expected);
}

#[tokio::test]
async fn what_does_not_fit_is_set_aside_and_never_rounded() {
    let site = Move::filled().await;
    site.import().await.unwrap();
    let entry = |meter: &str| {
        format!(
            "SELECT reason || '|' || reading_id || '|' || coalesce(value, '-') || '|' || message FROM quarantined_readings WHERE meter_external_id LIKE '{meter}'"
        )
    };
    for (meter, start, words) in [
        ("BAD-value", "unreadable|50|n/a|", "column value"),
        ("BAD-time", "unreadable|51|1|", "column timestamp"),
        // In a batch whose outcome is open.
        (
            "BAD-decimals",
            "possibly_stored|52|0.0001|",
            "without rounding",
        ),
        (
            "BAD-size",
            "unreadable|53|1000000000000|",
            "without rounding",
        ),
        ("BAD-_NUL", "unreadable|54|1|", "NUL"),
        ("BAD-unit", "unreadable|55|1|", "53 characters"),
        ("BAD-kept", "possibly_stored|56|0.0001|", "it was uploaded"),
    ] {
        let found = site.new.ask(&entry(meter)).await.unwrap();
        assert!(
            found.starts_with(start) && found.contains(words),
            "{meter}: {found}"
        );
    }
    let notes = "SELECT count(*) FROM quarantine_audit INNER JOIN quarantined_readings \
                 ON quarantined_readings.id = quarantine_id WHERE message LIKE 'not moved%'";
    assert_eq!(site.new.ask(notes).await.as_deref(), Some("7"));
}

#[tokio::test]
async fn a_reading_that_would_be_rounded_does_not_return_to_the_queue() {
    let site = Move::filled().await;
    site.import().await.unwrap();
    let store = site.new.open().await;
    let mut transaction = store.begin().await.unwrap();
    let filter = meterit_sync::domain::quarantine::QuarantineFilter {
        meter: Some("BAD-size".to_owned()),
        ..any()
    };
    let requeued = transaction.requeue(&filter, false, now()).await.unwrap();
    assert_eq!((requeued.affected, requeued.unreadable), (0, 1));
    let problem = requeued.first_problem.unwrap();
    assert!(problem.contains("numeric(15,3)"), "{problem}");
}

#[tokio::test]
async fn a_rule_of_the_sites_own_sets_aside_what_it_refuses() {
    let site = Move::filled().await;
    site.new.open().await.close().await;
    site.new
        .execute("ALTER TABLE meter_readings ADD CHECK (meter_external_id <> 'GOOD-13')")
        .await;
    let outcome = site.import().await.unwrap();
    assert_eq!(outcome.in_all.set_aside, BAD + 1);
    let message = "SELECT message FROM quarantined_readings WHERE meter_external_id = 'GOOD-13'";
    let message = site.new.ask(message).await.unwrap();
    assert!(message.contains("check constraint"), "{message}");
    assert_eq!(site.arrived().await.readings.len() as u64, GOOD - 1);
}

#[tokio::test]
async fn imported_batches_are_taken_over_and_their_readings_stay_theirs() {
    let site = Move::filled().await;
    let service = site.new.open().await;
    site.import().await.unwrap();
    let mut transaction = service.begin().await.unwrap();
    let free = claimed(
        &mut *transaction,
        meterit_sync::domain::batch::ClaimOrder::Oldest,
        1000,
    )
    .await;
    let live = transaction.take_over().await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(live, [key("first")]);
    let manifests = service.manifests().await.unwrap();
    let keys: Vec<&str> = manifests
        .iter()
        .map(|manifest| manifest.key.0.as_str())
        .collect();
    assert_eq!(keys, ["first", "second"]);
    // 36 pending ones, less 4 and 6 that are on their way.
    assert_eq!(ids(&free).len(), 26);
    let batch = service.batch(&key("second")).await.unwrap().unwrap();
    assert_eq!(&*batch.body, b"second is the body");
    assert_eq!(
        (
            batch.len(),
            batch.manifest.attempts,
            batch.manifest.failed_passes
        ),
        (7, 30, 4)
    );
    // The count that the triggers keep is right.
    let kept = "SELECT (SELECT sum(change) FROM queue_changes) = (SELECT count(*) FROM meter_readings WHERE is_synchronized IS NOT TRUE)";
    assert_eq!(site.new.ask(kept).await.as_deref(), Some("true"));
}
