//! Readings that leave the queue, and how long it is.

use meterit_sync::{
    domain::{
        batch::{ClaimOrder, ManifestState},
        census::{KnownStretch, Stretch},
        quarantine::QuarantineReason::Refused,
        reading_ids::ReadingIds,
    },
    storage::{QueueBounds, QueueLength, RowVersions, SyncStore},
};

use crate::storage::site::*;

pub async fn exactly_the_stored_readings_are_deleted(site: &dyn Site) {
    let database = site.open().await;
    store(&*database, &readings(3000)).await;
    let mut transaction = database.begin().await.unwrap();
    transaction
        .delete_readings(&ids("1-1000,1002,1004-1008,1500-1599,5000-5005"))
        .await
        .unwrap();
    let every_third: ReadingIds = (2000..3000).filter(|id| id % 3 == 0).collect();
    transaction.delete_readings(&every_third).await.unwrap();
    transaction
        .delete_readings(&ReadingIds::default())
        .await
        .unwrap();
    let left = claimed(&mut *transaction, ClaimOrder::Oldest, 5000).await;
    transaction.commit().await.unwrap();
    let expected: ReadingIds = (1001..=3000)
        .filter(|id| {
            ![1002, 1004, 1005, 1006, 1007, 1008].contains(id)
                && !(1500..=1599).contains(id)
                && !every_third.iter().any(|deleted| deleted == *id)
        })
        .collect();
    assert_eq!(left, expected.encode());
}

pub async fn ids_are_never_given_twice(site: &dyn Site) {
    let database = site.open().await;
    store(&*database, &readings(10)).await;
    let mut transaction = database.begin().await.unwrap();
    transaction.delete_readings(&ids("1-10")).await.unwrap();
    transaction.commit().await.unwrap();
    database.close().await;
    let database = site.open().await;
    store(&*database, &readings(1)).await;
    assert_eq!(pending(&*database).await, "11");
}

/// Long runs of ids and scattered ones, which are asked for in different ways.
const GAPS: &str = "DELETE FROM meter_readings WHERE id > 100 AND id % 2 = 0";

/// What a claim finds, and by what the engine tells that nobody has touched it since.
async fn claim(database: &dyn SyncStore) -> (ReadingIds, RowVersions) {
    let mut transaction = database.begin().await.unwrap();
    let rows = transaction
        .claimable(ClaimOrder::Oldest, 1000)
        .await
        .unwrap();
    let mark = transaction.foreign_mark().await.unwrap();
    transaction.commit().await.unwrap();
    let writers: std::collections::BTreeSet<_> = rows.iter().filter_map(|row| row.writer).collect();
    let versions = mark.map_or_else(
        || RowVersions::WrittenBy(writers.into_iter().collect()),
        RowVersions::AllAt,
    );
    (rows.iter().map(|row| row.id).collect(), versions)
}

async fn delete_as_read(database: &dyn SyncStore, ids: &ReadingIds, versions: &RowVersions) -> u64 {
    let mut transaction = database.begin().await.unwrap();
    let deleted = transaction.delete_as_read(ids, versions).await.unwrap();
    transaction.commit().await.unwrap();
    deleted
}

pub async fn rows_that_nobody_touched_are_deleted_at_once(site: &dyn Site) {
    let database = site.open().await;
    store(&*database, &readings(120)).await;
    site.execute(GAPS).await;
    let (ids, versions) = claim(&*database).await;
    // What this instance does in the meantime is none of these rows.
    store(&*database, &readings(3)).await;
    let deleted = delete_as_read(&*database, &ids, &versions).await;
    assert_eq!(deleted, ids.len() as u64);
    assert_eq!(pending(&*database).await, "121-123");
}

pub async fn rows_that_others_touched_are_left_to_be_looked_at(site: &dyn Site) {
    for keep in [false, true] {
        for touch in [
            "UPDATE meter_readings SET value = 7 WHERE id = 3",
            "UPDATE meter_readings SET unit = NULL WHERE id = 103",
        ] {
            let database = site.open().await;
            store(&*database, &readings(120)).await;
            site.execute(GAPS).await;
            let (ids, versions) = claim(&*database).await;
            site.execute(touch).await;
            let mut transaction = database.begin().await.unwrap();
            let count = if keep {
                transaction.mark_as_read(&ids, &versions, now()).await
            } else {
                transaction.delete_as_read(&ids, &versions).await
            };
            assert!(count.unwrap() < ids.len() as u64, "{touch}");
            transaction.commit().await.unwrap();
            let touched = touch.rsplit(' ').next().unwrap_or_default();
            let left = format!(
                "SELECT count(*) FROM meter_readings WHERE id = {touched} AND is_synchronized IS NOT TRUE"
            );
            assert_eq!(site.ask(&left).await.as_deref(), Some("1"), "{touch}");
            site.execute(site.beginning_anew()).await;
            database.close().await;
        }
    }
}

pub async fn rows_that_are_kept_in_silence_are_told(site: &dyn Site) {
    let database = site.open().await;
    store(&*database, &readings(5)).await;
    site.execute(site.keeping()).await;
    let all = ids("1-5");
    for action in ["delete", "mark", "quarantine"] {
        let mut transaction = database.begin().await.unwrap();
        let refused = match action {
            "delete" => transaction.delete_readings(&all).await,
            "mark" => transaction.mark_synchronized(&all, now()).await,
            _ => {
                let entries = [entry(3, Refused)];
                transaction.quarantine(&entries, now()).await.map(drop)
            }
        };
        let words = refused.expect_err(action).to_string();
        assert!(words.contains("1 reading is to be taken out"), "{words}");
        drop(transaction);
        assert_eq!(pending(&*database).await, "1-5", "{action}");
    }
    let mut transaction = database.begin().await.unwrap();
    transaction.delete_readings(&ids("4-9")).await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(pending(&*database).await, "1-3");
}

pub async fn other_rows_with_the_ids_of_a_batch_are_no_rows_of_its_own(site: &dyn Site) {
    let database = site.open().await;
    store(&*database, &readings(120)).await;
    let (ids, versions) = claim(&*database).await;
    site.execute(site.beginning_anew()).await;
    // The very same readings, as far as anyone can see.
    store(&*database, &readings(120)).await;
    assert_eq!(delete_as_read(&*database, &ids, &versions).await, 0);
    assert_eq!(pending(&*database).await, ids.encode());
}

pub async fn rows_are_read_by_their_ids(site: &dyn Site) {
    let database = site.open().await;
    store(&*database, &readings(300)).await;
    let wanted = ids("1-3,5,150-260,400-410");
    site.execute("UPDATE meter_readings SET is_synchronized = TRUE WHERE id = 5")
        .await;
    let mut transaction = database.begin().await.unwrap();
    let rows = transaction.lock_rows(&wanted).await.unwrap();
    let found: Vec<_> = rows.iter().map(|row| row.id).collect();
    assert_eq!(
        found,
        ids("1-3,5,150-260").iter().collect::<Vec<_>>(),
        "ascending, pending or not"
    );
    let parsed = rows[3].clone().parse().unwrap();
    assert_eq!(parsed, readings(5)[4]);
}

pub async fn marked_readings_leave_the_queue(site: &dyn Site) {
    let database = site.open().await;
    store(&*database, &readings(100)).await;
    let mut transaction = database.begin().await.unwrap();
    transaction
        .mark_synchronized(&ids("1-50,60"), now())
        .await
        .unwrap();
    let later = time("2026-04-01 00:00:00.375");
    transaction
        .mark_synchronized(&ids("40-55"), later)
        .await
        .unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(pending(&*database).await, "56-59,61-100");
    let at = |id| format!("SELECT synchronized_at FROM meter_readings WHERE id = {id}");
    assert_eq!(
        site.ask(&at(45)).await.as_deref(),
        Some("2026-03-01 12:00:00.125")
    );
    assert_eq!(
        site.ask(&at(55)).await.as_deref(),
        Some("2026-04-01 00:00:00.375")
    );
}

pub async fn retries_are_counted(site: &dyn Site) {
    let database = site.open().await;
    store(&*database, &readings(100)).await;
    site.execute("UPDATE meter_readings SET retry_count = NULL WHERE id = 3")
        .await;
    let mut transaction = database.begin().await.unwrap();
    transaction
        .increment_retry_count(&ids("1-50,70"))
        .await
        .unwrap();
    transaction.increment_retry_count(&ids("3")).await.unwrap();
    transaction.commit().await.unwrap();
    let count = |id| format!("SELECT retry_count FROM meter_readings WHERE id = {id}");
    for (id, expected) in [(1, "1"), (3, "2"), (50, "1"), (51, "0"), (70, "1")] {
        assert_eq!(
            site.ask(&count(id)).await.as_deref(),
            Some(expected),
            "{id}"
        );
    }
}

pub async fn old_synchronized_readings_are_deleted_in_pieces(site: &dyn Site) {
    let database = site.open().await;
    store(&*database, &readings(100)).await;
    let mut transaction = database.begin().await.unwrap();
    transaction
        .mark_synchronized(&ids("1-30"), time("2026-02-01 00:00"))
        .await
        .unwrap();
    transaction
        .mark_synchronized(&ids("31-40"), now())
        .await
        .unwrap();
    let before = time("2026-02-20 00:00");
    assert_eq!(
        transaction
            .delete_synchronized_before(before, 20)
            .await
            .unwrap(),
        20
    );
    assert_eq!(
        transaction
            .delete_synchronized_before(before, 20)
            .await
            .unwrap(),
        10
    );
    assert_eq!(
        transaction
            .delete_synchronized_before(before, 20)
            .await
            .unwrap(),
        0
    );
    transaction.commit().await.unwrap();
    assert_eq!(pending(&*database).await, "41-100");
    // What another program marked counts from its arrival.
    site.execute(
        "UPDATE meter_readings SET is_synchronized = TRUE, created_at = '2026-01-01 00:00:00' WHERE id > 98",
    )
    .await;
    let mut transaction = database.begin().await.unwrap();
    assert_eq!(
        transaction
            .delete_synchronized_before(before, 20)
            .await
            .unwrap(),
        2
    );
}

pub async fn the_queue_knows_its_bounds(site: &dyn Site) {
    let database = site.open().await;
    assert_eq!(
        database.queue_bounds().await.unwrap(),
        QueueBounds::default()
    );
    store(&*database, &readings(5)).await;
    site.execute("UPDATE meter_readings SET created_at = '2026-02-02 02:02:02' WHERE id = 2")
        .await;
    let mut transaction = database.begin().await.unwrap();
    transaction
        .mark_synchronized(&ids("1"), now())
        .await
        .unwrap();
    transaction.commit().await.unwrap();
    let bounds = database.queue_bounds().await.unwrap();
    assert_eq!(bounds.highest, Some(5));
    assert_eq!(bounds.oldest_pending_at, Some(time("2026-02-02 02:02:02")));
    for (id, at) in [(2, "NULL"), (3, "'2026-01-01 01:01:01'")] {
        site.execute(&format!(
            "UPDATE meter_readings SET created_at = {at} WHERE id = {id}"
        ))
        .await;
    }
    let bounds = database.queue_bounds().await.unwrap();
    assert_eq!(
        bounds.oldest_pending_at,
        Some(time("2026-01-01 01:01:01")),
        "whatever its id"
    );
}

pub async fn a_kept_count_is_the_counted_one(site: &dyn Site) {
    let database = site.open().await;
    count_agrees(&*database, 0).await;
    store(&*database, &readings(100)).await;
    count_agrees(&*database, 100).await;
    let mut transaction = database.begin().await.unwrap();
    let marked = ids("1-10");
    transaction.mark_synchronized(&marked, now()).await.unwrap();
    transaction.delete_readings(&ids("5-20")).await.unwrap();
    transaction.commit().await.unwrap();
    count_agrees(&*database, 80).await;
    set_aside(&*database, &[entry(30, Refused), entry(31, Refused)]).await;
    count_agrees(&*database, 78).await;
    let mut transaction = database.begin().await.unwrap();
    transaction.requeue(&any(), false, now()).await.unwrap();
    transaction.commit().await.unwrap();
    count_agrees(&*database, 80).await;
    let mut transaction = database.begin().await.unwrap();
    transaction.delete_readings(&ids("40-50")).await.unwrap();
    drop(transaction);
    count_agrees(&*database, 80).await;
    for (by_another_program, expected) in [
        (
            "UPDATE meter_readings SET is_synchronized = NULL WHERE id = 40",
            80,
        ),
        (
            "UPDATE meter_readings SET is_synchronized = TRUE WHERE id IN (40, 41)",
            78,
        ),
        (
            "UPDATE meter_readings SET is_synchronized = FALSE WHERE id = 41",
            79,
        ),
        ("DELETE FROM meter_readings WHERE is_synchronized", 79),
        ("DELETE FROM meter_readings", 0),
    ] {
        site.execute(by_another_program).await;
        count_agrees(&*database, expected).await;
    }
}

async fn count_agrees(database: &dyn SyncStore, expected: u64) {
    let all = Stretch {
        after: i64::MIN,
        upper: i64::MAX,
    };
    assert_eq!(database.count_pending(all).await.unwrap(), expected);
    // An engine that keeps no number has none to be wrong.
    if let QueueLength::Kept(kept) = database.length().await.unwrap() {
        assert_eq!(kept, expected);
    }
}

pub async fn stretches_are_counted(site: &dyn Site) {
    let database = site.open().await;
    store(&*database, &readings(100)).await;
    let mut transaction = database.begin().await.unwrap();
    transaction
        .mark_synchronized(&ids("5-9"), now())
        .await
        .unwrap();
    // Readings on their way are still in the queue.
    transaction
        .insert_manifest(&batch("a", "1-4", ManifestState::Live))
        .await
        .unwrap();
    transaction.commit().await.unwrap();
    for (after, upper, expected) in [
        (0, 10, 5),
        (10, 20, 10),
        (4, 9, 0),
        (i64::MIN, i64::MAX, 95),
        (100, 200, 0),
    ] {
        let stretch = Stretch { after, upper };
        assert_eq!(
            database.count_pending(stretch).await.unwrap(),
            expected,
            "{stretch:?}"
        );
        for count in expected.saturating_sub(2)..expected + 3 {
            let known = KnownStretch { stretch, count };
            assert_eq!(
                database.has_pending(known).await.unwrap(),
                count == expected,
                "{known:?}"
            );
        }
    }
}
