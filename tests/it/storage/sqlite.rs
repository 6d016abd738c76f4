//! SQLite: the conformance suite, and what is true of a file only.

use meterit_sync::{
    domain::{
        batch::{ClaimOrder, ManifestState},
        quarantine::QuarantineReason,
        reading::RawCell,
    },
    storage::{Reserve, StoreError, SyncStore, sqlite::SqliteStore},
};

use super::site::*;

conformance_suite!(SqliteSite::new());

#[tokio::test]
async fn a_second_instance_is_kept_out_until_the_first_is_gone() {
    let site = SqliteSite::new();
    let first = site.open().await;
    let second = SqliteStore::open(&site.file()).await;
    assert!(matches!(second, Err(StoreError::InUse(path)) if path.ends_with("sync.db")));
    first.close().await;
    site.open().await.close().await;
    drop(site.open().await);
    site.open().await;
}

#[tokio::test]
async fn a_second_instance_is_kept_out_whatever_link_leads_to_it() {
    let site = SqliteSite::new();
    let elsewhere = tempfile::tempdir().unwrap();
    let link = elsewhere.path().join("linked.db");
    std::fs::create_dir_all(site.file().parent().unwrap()).unwrap();
    std::os::unix::fs::symlink(site.file(), &link).unwrap();
    let first = SqliteStore::open(&link).await.unwrap();
    let second = SqliteStore::open(&site.file()).await;
    assert!(matches!(second, Err(StoreError::InUse(_))));
    first.close().await;
}

#[tokio::test]
async fn the_file_is_in_wal_mode_and_grows_no_duplicates_of_itself() {
    let site = SqliteSite::new();
    let database = site.open().await;
    store(&*database, &readings(10)).await;
    let mode = site
        .ask("SELECT journal_mode FROM pragma_journal_mode")
        .await;
    assert_eq!(mode.as_deref(), Some("wal"));
    database.close().await;
    assert!(
        !site.file().with_extension("db-wal").exists(),
        "closing folds the log into the file"
    );
}

#[tokio::test]
async fn a_file_that_is_no_database_is_reported() {
    let site = SqliteSite::new();
    std::fs::create_dir_all(site.file().parent().unwrap()).unwrap();
    std::fs::write(
        site.file(),
        "this is no database, but long enough to be read as one".repeat(100),
    )
    .unwrap();
    let refused = SqliteStore::open(&site.file())
        .await
        .expect_err("no database");
    assert!(refused.to_string().contains("not a database"), "{refused}");
}

#[tokio::test]
async fn an_empty_file_was_emptied_only_where_something_was_in_it() {
    let site = SqliteSite::new();
    std::fs::create_dir_all(site.file().parent().unwrap()).unwrap();
    // A first start that got no further than this.
    std::fs::write(site.file(), "").unwrap();
    std::fs::write(site.file().with_extension("db.lock"), "not used yet").unwrap();
    let database = site.open().await;
    assert_eq!(pending(&*database).await, "");
    database.close().await;
    std::fs::write(site.file(), "").unwrap();
    let database = site.open().await;
    let refused = database.quarantined_count().await.expect_err("emptied");
    assert!(matches!(refused, StoreError::Damaged(_)), "{refused}");
    database.replace_damaged().await.unwrap();
    assert_eq!(database.salvages().await[0].lost_at_most, None);
    assert_eq!(pending(&*database).await, "");
}

#[tokio::test]
async fn parts_of_a_batch_outlive_the_process() {
    let site = SqliteSite::new();
    let database = site.open().await;
    let mut transaction = database.begin().await.unwrap();
    let part = batch("part", "1-7", ManifestState::Part);
    transaction.insert_manifest(&part).await.unwrap();
    transaction.commit().await.unwrap();
    database.close().await;
    let database = site.open().await;
    assert_eq!(database.manifests().await.unwrap(), [part.manifest]);
}

#[tokio::test]
async fn another_programs_lock_is_waited_for() {
    let site = SqliteSite::new();
    let database = site.open().await;
    let mut other = site.connect().await;
    sqlx::raw_sql("BEGIN IMMEDIATE")
        .execute(&mut other)
        .await
        .unwrap();
    let release = async {
        tokio::task::yield_now().await;
        sqlx::raw_sql("COMMIT").execute(&mut other).await.unwrap();
    };
    let sent = [reading("1")];
    tokio::join!(store(&*database, &sent), release);
    assert_eq!(pending(&*database).await, "1");
}

#[tokio::test]
async fn cells_are_claimed_as_they_lie() {
    let site = SqliteSite::new();
    let database = site.open().await;
    site.execute(
        "INSERT INTO meter_readings (meter_external_id, timestamp, data_point, value, unit) VALUES \
         (5, 1767225600, X'00FF', 'n/a', NULL), \
         ('M-1', '2026-03-01T00:00:00Z', 'power', 9e999, CAST(X'FF' AS TEXT)), \
         ('M-1', '2026-03-01 00:00:00', 'power', 0.1234567890123456, 'kW'), \
         ('M-1', '2026-03-01 00:00:00', 'power', '3.000', 'kW')",
    )
    .await;
    let mut transaction = database.begin().await.unwrap();
    let rows = transaction.claimable(ClaimOrder::Oldest, 10).await.unwrap();
    assert_eq!(rows[0].meter_external_id, RawCell::Text("5".into()));
    assert_eq!(rows[0].timestamp, RawCell::Integer(1_767_225_600));
    assert_eq!(rows[0].data_point, RawCell::Blob);
    assert_eq!(rows[0].value, RawCell::Text("n/a".into()));
    assert_eq!(rows[0].unit, RawCell::Null);
    assert_eq!(rows[1].value, RawCell::Real(f64::INFINITY));
    assert_eq!(rows[1].unit, RawCell::Blob);
    assert_eq!(rows[2].value, RawCell::Real(0.123_456_789_012_345_6));
    assert_eq!(rows[3].value, RawCell::Integer(3));
}

#[tokio::test]
async fn texts_keep_the_zeros_of_times_and_none_of_values() {
    let site = SqliteSite::new();
    let database = site.open().await;
    let mut whole = reading("1.000");
    whole.timestamp = time("2026-03-01 11:59:00");
    store(&*database, &[whole]).await;
    let mut transaction = database.begin().await.unwrap();
    let at = time("2026-03-01 12:00");
    transaction.mark_synchronized(&ids("1"), at).await.unwrap();
    transaction.commit().await.unwrap();
    let marked = site.ask("SELECT synchronized_at FROM meter_readings").await;
    assert_eq!(marked.as_deref(), Some("2026-03-01 12:00:00.000"));
    set_aside(&*database, &[entry(1, QuarantineReason::Refused)]).await;
    let page = database.quarantine(&any(), ALL).await.unwrap();
    let kept = &page.items[0];
    assert_eq!(kept.timestamp.as_deref(), Some("2026-03-01 11:59:00.000"));
    assert_eq!(kept.value.as_deref(), Some("1"));
}

#[tokio::test]
async fn quarantine_keeps_every_digit_of_a_binary_number() {
    let site = SqliteSite::new();
    let database = site.open().await;
    let values = [
        "0.1234567890123456",
        "0.30000000000000004",
        "1234567890.1234567",
        "5e-324",
    ];
    for value in values {
        site.execute(&format!(
            "INSERT INTO meter_readings (meter_external_id, timestamp, data_point, value) \
             VALUES ('M-1', '2026-03-01 00:00:00', 'power', {value})"
        ))
        .await;
    }
    let entries: Vec<_> = (1..=4)
        .map(|id| entry(id, QuarantineReason::Refused))
        .collect();
    set_aside(&*database, &entries).await;
    let page = database.quarantine(&any(), ALL).await.unwrap();
    let kept: Vec<f64> = page
        .items
        .iter()
        .rev()
        .map(|entry| entry.value.as_deref().unwrap().parse().unwrap())
        .collect();
    let expected = values.map(|value| value.parse::<f64>().unwrap());
    assert_eq!(kept, expected);
    let mut transaction = database.begin().await.unwrap();
    transaction.requeue(&any(), false, now()).await.unwrap();
    let rows = transaction.claimable(ClaimOrder::Oldest, 10).await.unwrap();
    let returned: Vec<_> = rows.into_iter().map(|row| row.value).collect();
    assert_eq!(returned, expected.map(RawCell::Real));
}

#[tokio::test]
async fn binary_data_does_not_return_as_words_about_it() {
    let site = SqliteSite::new();
    let database = site.open().await;
    site.execute(
        "INSERT INTO meter_readings (meter_external_id, timestamp, data_point, value) \
         VALUES (X'00', '2026-03-01 00:00:00', 'power', 1)",
    )
    .await;
    set_aside(&*database, &[entry(1, QuarantineReason::Unreadable)]).await;
    let mut transaction = database.begin().await.unwrap();
    let result = transaction.requeue(&any(), true, now()).await.unwrap();
    assert_eq!((result.affected, result.unreadable), (0, 1));
}

#[tokio::test]
async fn the_room_on_the_disk_is_known() {
    let site = SqliteSite::new();
    let database = site.open().await;
    assert!(
        database
            .disk_free_bytes()
            .await
            .is_some_and(|bytes| bytes > 0)
    );
}

#[tokio::test]
async fn while_the_reserve_is_in_use_other_programs_meet_a_full_disk() {
    let site = SqliteSite::new();
    let database = site.open().await;
    assert_eq!(database.keep_reserve().await, Reserve::Kept);
    let insert = "INSERT INTO meter_readings (meter_external_id, timestamp, data_point, value) VALUES ('M', '2026-01-01 00:00:00', 'x', 1)";
    site.execute(insert).await;
    database.give_up_reserve().await;
    assert!(database.reserve_is_in_use());
    let refused = site.try_execute(insert).await.expect_err("no room");
    assert!(refused.contains("full"), "{refused}");
    // A restart changes nothing about it, and what is there may leave.
    database.close().await;
    drop(database);
    let database = site.open().await;
    assert!(database.reserve_is_in_use());
    assert!(site.try_execute(insert).await.is_err());
    site.execute("DELETE FROM meter_readings").await;
    assert_eq!(database.keep_reserve().await, Reserve::Kept);
    site.execute(insert).await;
    // A service that is gone for good locks nobody out for long.
    database.give_up_reserve().await;
    assert!(site.try_execute(insert).await.is_err());
    site.execute("UPDATE disk_full SET closed_until = CAST(strftime('%s', 'now') AS INTEGER)")
        .await;
    site.execute(insert).await;
}
