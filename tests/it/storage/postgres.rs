//! PostgreSQL: the conformance suite, and what several instances owe each other.

use std::collections::BTreeSet;

use meterit_sync::{
    domain::{
        batch::{ClaimOrder, IdempotencyKey, Manifest, ManifestState},
        quarantine::QuarantineReason,
        reading_ids::ReadingIds,
    },
    storage::{QueueLength, SyncStore},
};

use sqlx::{Connection, PgConnection};

use super::site::*;

conformance_suite!(PostgresSite::new());

/// Claims batches of twenty until nothing is left; the ids that came.
async fn claim_all(database: &dyn SyncStore, name: &str) -> Vec<i64> {
    let mut claimed = Vec::new();
    for number in 0.. {
        let mut transaction = database.begin().await.unwrap();
        let rows = transaction.claimable(ClaimOrder::Oldest, 20).await.unwrap();
        if rows.is_empty() {
            break;
        }
        let ids: ReadingIds = rows.iter().map(|row| row.id).collect();
        claimed.extend(ids.iter());
        let batch = batch(
            &format!("{name}-{number}"),
            &ids.encode(),
            ManifestState::Live,
        );
        transaction.insert_manifest(&batch).await.unwrap();
        transaction.commit().await.unwrap();
    }
    claimed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn claims_of_several_instances_never_overlap() {
    let site = PostgresSite::new();
    // What a snapshot from before the waiting would do to claims.
    let strict = "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_isolation = ''serializable''', \
        current_database()); END $$";
    site.execute(strict).await;
    let (first, second, third) = (site.open().await, site.open().await, site.open().await);
    store(&*first, &readings(3000)).await;
    let claims = tokio::join!(
        claim_all(&*first, "first"),
        claim_all(&*second, "second"),
        claim_all(&*third, "third")
    );
    let all = [claims.0, claims.1, claims.2].concat();
    assert_eq!(all.len(), 3000);
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), 3000);
}

#[tokio::test]
async fn rows_that_no_trigger_saw_are_counted_by_and_by() {
    let site = PostgresSite::new();
    let database = site.open().await;
    store(&*database, &readings(5)).await;
    // As a subscription to another server does.
    site.execute(
        "SET session_replication_role = replica; \
         INSERT INTO meter_readings (meter_external_id, timestamp, data_point, value) \
         SELECT 'M', now(), 'energy_total', 1 FROM generate_series(1, 3000)",
    )
    .await;
    let length = async || database.length().await.unwrap();
    assert_eq!(length().await, QueueLength::Kept(5));
    // One look of so many begins at the very beginning.
    for _ in 0..16 {
        database.attend().await.unwrap();
    }
    assert_eq!(length().await, QueueLength::Kept(3005));
    site.execute("SET session_replication_role = replica; DELETE FROM meter_readings WHERE id > 7")
        .await;
    for _ in 0..16 {
        database.attend().await.unwrap();
    }
    assert_eq!(length().await, QueueLength::Kept(7));
}

/// The Meter Collection Service may hold a meter's row for as long as it likes.
#[tokio::test]
async fn nobody_waits_for_a_meter_that_another_program_has_locked() {
    let site = PostgresSite::new();
    let database = site.open().await;
    site.execute("INSERT INTO meters (external_id, name) VALUES ('M-1', 'Main'), ('M-2', 'Other')")
        .await;
    let mut other = PgConnection::connect(&site.url()).await.unwrap();
    sqlx::raw_sql("BEGIN; SELECT 1 FROM meters WHERE external_id = 'M-1' FOR UPDATE")
        .execute(&mut other)
        .await
        .unwrap();
    let newest = ["M-1", "M-2"].map(|meter| (meter.to_owned(), now()));
    let mut transaction = database.begin().await.unwrap();
    transaction
        .note_last_readings(&newest.into())
        .await
        .unwrap();
    transaction.commit().await.unwrap();
    let meters = database.meters(ALL).await.unwrap().items;
    let known: Vec<_> = meters.iter().map(|meter| meter.last_reading_at).collect();
    assert_eq!(known, [None, Some(now())]);
}

/// Somebody corrects a row by hand, and takes his time.
#[tokio::test]
async fn nobody_waits_for_an_unreadable_row_that_is_being_corrected() {
    let site = PostgresSite::new();
    let database = site.open().await;
    store(&*database, &readings(3)).await;
    site.execute("UPDATE meter_readings SET value = 'NaN' WHERE id <= 2")
        .await;
    let mut other = PgConnection::connect(&site.url()).await.unwrap();
    sqlx::raw_sql("BEGIN; UPDATE meter_readings SET value = 7 WHERE id = 1")
        .execute(&mut other)
        .await
        .unwrap();
    let entries = [1, 2].map(|id| entry(id, QuarantineReason::Unreadable));
    let set_aside = async || {
        let mut transaction = database.begin().await.unwrap();
        let moved = transaction.quarantine(&entries, now()).await.unwrap();
        transaction.commit().await.unwrap();
        moved.encode()
    };
    assert_eq!(set_aside().await, "2");
    sqlx::raw_sql("COMMIT").execute(&mut other).await.unwrap();
    assert_eq!(set_aside().await, "", "it can be read now");
    assert_eq!(pending(&*database).await, "1,3");
}

async fn manifest(database: &dyn SyncStore, name: &str) -> Option<Manifest> {
    let mut transaction = database.begin().await.unwrap();
    let batch = transaction.batch(&key(name)).await.unwrap();
    batch.map(|batch| batch.manifest)
}

async fn take_over(database: &dyn SyncStore) -> Vec<IdempotencyKey> {
    let mut transaction = database.begin().await.unwrap();
    let taken = transaction.take_over().await.unwrap();
    transaction.commit().await.unwrap();
    taken
}

#[tokio::test]
async fn only_what_is_abandoned_is_taken_over_and_its_former_owner_is_fenced_off() {
    let site = PostgresSite::new();
    let (first, second) = (site.open().await, site.open().await);
    store(&*first, &readings(10)).await;
    let mut transaction = first.begin().await.unwrap();
    for (name, ids, state) in [
        ("live", "1-3", ManifestState::Live),
        ("parked", "4", ManifestState::Parked),
        ("part", "5", ManifestState::Part),
        ("suspect", "6", ManifestState::Suspect),
    ] {
        let batch = batch(name, ids, state);
        transaction.insert_manifest(&batch).await.unwrap();
    }
    transaction.commit().await.unwrap();
    assert_eq!(take_over(&*second).await, [], "its owner is alive");
    assert!(!second.flight().await.unwrap().abandoned);
    assert!(manifest(&*second, "live").await.is_none());
    assert!(second.manifests().await.unwrap().is_empty());

    site.execute("UPDATE service_instances SET lease_until = now() - INTERVAL '1 s'")
        .await;
    assert!(second.flight().await.unwrap().abandoned);
    assert_eq!(take_over(&*second).await, [key("live")]);
    assert!(
        manifest(&*first, "live").await.is_none(),
        "the former owner is fenced off"
    );
    assert_eq!(manifest(&*second, "live").await.unwrap().epoch, 1);
    let parked = manifest(&*second, "parked").await.unwrap();
    assert_eq!((parked.state, parked.epoch), (ManifestState::Parked, 1));
    // Parts and suspects were refused for certain, so their readings are simply pending again.
    assert_eq!(pending(&*second).await, "5-10");

    // The first one was only slow: it comes back, and takes nothing that another has.
    first.attend().await.unwrap();
    assert_eq!(take_over(&*first).await, []);
    assert_eq!(manifest(&*second, "live").await.unwrap().epoch, 1);
}

#[tokio::test]
async fn leadership_moves_when_the_leader_ends() {
    let site = PostgresSite::new();
    let (first, second) = (site.open().await, site.open().await);
    let leads = first.attend().await.unwrap();
    assert_eq!((leads.leads, leads.instances), (true, 2));
    assert!(!second.attend().await.unwrap().leads);
    assert!(first.attend().await.unwrap().leads);
    first.close().await;
    let attendance = second.attend().await.unwrap();
    assert_eq!((attendance.leads, attendance.instances), (true, 1));
}

#[tokio::test]
async fn an_instance_that_waits_for_announcements_closes_in_an_orderly_way() {
    let site = PostgresSite::new();
    let database = site.open().await;
    database.attend().await.unwrap();
    let (announced, ()) = tokio::join!(database.announced(), async {
        let is_listening = "SELECT bool_and(is_listening) FROM service_instances";
        while site.ask(is_listening).await.as_deref() != Some("true") {}
        database.close().await;
    });
    announced.expect("nobody waits any more");
    // Giving up on a server that does not answer leaves the lease as it was.
    let leases = "SELECT count(*) FROM service_instances WHERE lease_until > clock_timestamp()";
    assert_eq!(site.ask(leases).await.as_deref(), Some("0"));
}
