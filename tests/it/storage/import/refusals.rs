//! Copies, backups and databases that do not belong together are noticed before anything is doubled.

use meterit_sync::domain::import::ImportStage;

use super::queue::*;
use crate::storage::site::*;

/// Runs an import that ends after so many chunks.
async fn interrupted(site: &Move, chunks: i64) {
    use futures_util::FutureExt;
    let import = site.import_watched(|at| {
        assert!(
            at.step < chunks || at.stage != ImportStage::Committed,
            "planned crash"
        );
    });
    std::panic::AssertUnwindSafe(import)
        .catch_unwind()
        .await
        .expect_err("it crashes");
}

/// Copies the old queue, as `sqlite3 .backup` does.
async fn copy(site: &Move) -> SqliteSite {
    let copy = SqliteSite::new();
    std::fs::create_dir_all(copy.file().parent().unwrap()).unwrap();
    site.old
        .execute(&format!("VACUUM INTO '{}'", copy.file().display()))
        .await;
    copy
}

async fn refusal(site: &Move) -> String {
    let before = site.arrived().await;
    let error = site.import().await.expect_err("a refusal");
    assert!(error.needs_a_person(), "{error}");
    assert_eq!(site.arrived().await, before);
    error.to_string()
}

#[tokio::test]
async fn of_two_copies_only_one_goes_on() {
    let mut site = Move::filled().await;
    let expected = site.fitting().await;
    interrupted(&site, 3).await;
    let copied = copy(&site).await;
    let original = std::mem::replace(&mut site.old, copied);
    site.import().await.unwrap();
    assert_eq!(site.arrived().await, expected);
    site.old = original;
    let words = refusal(&site).await;
    assert!(words.contains("another copy"), "{words}");
}

#[tokio::test]
async fn a_copy_from_before_the_import_is_recognised() {
    let mut site = Move::filled().await;
    let copied = copy(&site).await;
    site.import().await.unwrap();
    site.old = copied;
    let words = refusal(&site).await;
    assert!(words.contains("copy"), "{words}");
}

#[tokio::test]
async fn an_import_that_has_begun_goes_nowhere_else() {
    let mut site = Move::filled().await;
    interrupted(&site, 3).await;
    let first = std::mem::replace(&mut site.new, PostgresSite::new());
    site.new.open().await.close().await;
    let words = refusal(&site).await;
    assert!(words.contains("another database"), "{words}");
    let second = std::mem::replace(&mut site.new, first);
    site.import().await.unwrap();
    // What comes in after the end may go anywhere.
    site.old.execute("INSERT INTO meter_readings (meter_external_id, timestamp, data_point, value) VALUES ('GOOD-1', '2026-01-01 00:00:00', 'late', 1)").await;
    site.new = second;
    assert_eq!(site.import().await.unwrap().in_all.pending, 1);
}

#[tokio::test]
async fn a_database_that_lost_what_it_had_is_noticed() {
    let site = Move::filled().await;
    interrupted(&site, 3).await;
    site.new.execute("DELETE FROM imports").await;
    let words = refusal(&site).await;
    assert!(words.contains("backup"), "{words}");
}

#[tokio::test]
async fn a_batch_that_is_there_already_is_not_imported_again() {
    let site = Move::filled().await;
    let store = site.new.open().await;
    let mut transaction = store.begin().await.unwrap();
    let known = batch(
        "second",
        "1-5",
        meterit_sync::domain::batch::ManifestState::Live,
    );
    transaction.insert_manifest(&known).await.unwrap();
    transaction.commit().await.unwrap();
    let error = site.import().await.expect_err("a refusal");
    assert!(error.needs_a_person(), "{error}");
    assert!(error.to_string().contains("second"), "{error}");
}

#[tokio::test]
async fn two_imports_of_one_file_do_not_meet() {
    let site = Move::filled().await;
    let held = meterit_sync::storage::sqlite::SqliteStore::open(&site.old.file())
        .await
        .unwrap();
    let error = site.import().await.expect_err("a refusal");
    assert!(error.needs_a_person(), "{error}");
    drop(held);
}
