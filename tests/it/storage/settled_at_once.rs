//! A batch that is stored, settled in SQLite with one statement after another and no look in between.

use meterit_sync::{
    domain::{batch::ManifestState, sync_log::SyncLogEntry},
    storage::{RowVersions, StoreTransaction, StoredBatch, SyncStore},
};

use super::site::*;

/// Two batches of the twenty readings in the queue, written down as a claim does.
async fn claim(database: &dyn SyncStore) -> RowVersions {
    store(database, &readings(20)).await;
    let mut transaction = database.begin().await.unwrap();
    let mark = transaction.foreign_mark().await.unwrap().expect("a mark");
    let batches = [("a", "1-10"), ("b", "11-20")];
    let batches = batches.map(|(name, ids)| batch(name, ids, ManifestState::Live));
    transaction.insert_manifests(&batches).await.unwrap();
    transaction.commit().await.unwrap();
    RowVersions::AllAt(mark)
}

async fn settle(
    transaction: &mut dyn StoreTransaction,
    (name, of): (&str, &str),
    versions: &RowVersions,
    is_kept: bool,
) -> Result<bool, String> {
    let stored = StoredBatch {
        key: &key(name),
        epoch: 0,
        ids: &ids(of),
        versions,
        is_kept,
        now: now(),
    };
    let settled = transaction.settle_as_read(&stored).await;
    settled.map_err(|error| error.to_string())
}

async fn keys(database: &dyn SyncStore) -> Vec<String> {
    let manifests = database.manifests().await.unwrap();
    manifests
        .into_iter()
        .map(|manifest| manifest.key.0)
        .collect()
}

#[tokio::test]
async fn its_readings_its_manifest_and_nothing_else_go() {
    for is_kept in [false, true] {
        let site = SqliteSite::new();
        let database = site.open().await;
        let versions = claim(&*database).await;
        let mut transaction = database.begin().await.unwrap();
        let settled = settle(&mut *transaction, ("b", "11-20"), &versions, is_kept).await;
        assert_eq!(settled, Ok(true));
        transaction.commit().await.unwrap();
        assert_eq!(keys(&*database).await, [key("a").0]);
        let log = database.sync_log(ALL).await.unwrap().items;
        let [
            SyncLogEntry {
                batch_size: 10,
                success: true,
                error_message: None,
                synced_at: Some(at),
                ..
            },
        ] = log[..]
        else {
            panic!("{log:?}");
        };
        assert_eq!(at, now());
        let marked = site
            .ask("SELECT count(*) FROM meter_readings WHERE is_synchronized = 1 AND synchronized_at IS NOT NULL")
            .await;
        assert_eq!(marked.as_deref(), Some(if is_kept { "10" } else { "0" }));
        let mut transaction = database.begin().await.unwrap();
        transaction.remove_manifest(&key("a")).await.unwrap();
        transaction.commit().await.unwrap();
        assert_eq!(pending(&*database).await, "1-10");
    }
}

#[tokio::test]
async fn what_another_program_may_have_touched_is_looked_at_first() {
    let site = SqliteSite::new();
    let database = site.open().await;
    let versions = claim(&*database).await;
    site.execute("UPDATE meters SET name = 'any change at all'")
        .await;
    let mut transaction = database.begin().await.unwrap();
    let settled = settle(&mut *transaction, ("a", "1-10"), &versions, false).await;
    assert_eq!(settled, Ok(true), "what changes nothing is no commit");
    drop(transaction);
    site.execute("UPDATE meter_readings SET value = 7 WHERE id = 20")
        .await;
    let mut transaction = database.begin().await.unwrap();
    let settled = settle(&mut *transaction, ("a", "1-10"), &versions, false).await;
    assert_eq!(settled, Ok(false));
    transaction.commit().await.unwrap();
    assert_eq!(keys(&*database).await.len(), 2);
}

#[tokio::test]
async fn scattered_readings_are_taken_out_step_by_step() {
    let site = SqliteSite::new();
    let database = site.open().await;
    let versions = claim(&*database).await;
    let mut transaction = database.begin().await.unwrap();
    let settled = settle(&mut *transaction, ("a", "1-4,6-10"), &versions, false).await;
    assert_eq!(settled, Ok(false));
    transaction.commit().await.unwrap();
    assert_eq!(keys(&*database).await.len(), 2);
}

#[tokio::test]
async fn where_anything_is_amiss_that_is_told() {
    let site = SqliteSite::new();
    let database = site.open().await;
    site.execute(site.keeping()).await;
    let versions = claim(&*database).await;
    let mut transaction = database.begin().await.unwrap();
    let kept = settle(&mut *transaction, ("a", "1-10"), &versions, false).await;
    let words = kept.expect_err("a trigger keeps the third");
    assert!(
        words.contains("of a batch with 10 readings 11 rows were touched"),
        "{words}"
    );
    drop(transaction);

    let mut transaction = database.begin().await.unwrap();
    transaction.remove_manifest(&key("b")).await.unwrap();
    let settled_before = settle(&mut *transaction, ("b", "11-20"), &versions, false).await;
    assert!(settled_before.is_err());
    drop(transaction);
    assert_eq!(keys(&*database).await.len(), 2);
    let left = site.ask("SELECT count(*) FROM meter_readings").await;
    assert_eq!(left.as_deref(), Some("20"), "nothing has gone");
}
