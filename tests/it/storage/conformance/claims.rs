//! Which readings may be claimed.

use meterit_sync::domain::{
    batch::{ClaimOrder, ManifestState},
    reading_ids::ReadingIds,
};

use crate::storage::site::*;

pub async fn held_readings_are_passed_over(site: &dyn Site) {
    let database = site.open().await;
    store(&*database, &readings(2000)).await;
    let mut transaction = database.begin().await.unwrap();
    for manifest in [
        batch("live", "1-500", ManifestState::Live),
        batch("parked", "501-600", ManifestState::Parked),
        batch("part", "700", ManifestState::Part),
        batch("suspect", "702", ManifestState::Suspect),
    ] {
        transaction.insert_manifest(&manifest).await.unwrap();
    }
    let oldest = ClaimOrder::Oldest;
    assert_eq!(claimed(&mut *transaction, oldest, 10).await, "601-610");
    assert_eq!(
        claimed(&mut *transaction, oldest, 102).await,
        "601-699,701,703-704"
    );
    assert_eq!(
        claimed(&mut *transaction, oldest, 5000).await,
        "601-699,701,703-2000"
    );
    assert_eq!(claimed(&mut *transaction, oldest, 0).await, "");
    let fresh = ClaimOrder::After(699);
    assert_eq!(claimed(&mut *transaction, fresh, 3).await, "701,703-704");
    assert_eq!(
        claimed(&mut *transaction, ClaimOrder::After(2000), 3).await,
        ""
    );
    assert_eq!(
        claimed(&mut *transaction, ClaimOrder::After(100), 1).await,
        "601"
    );
}

pub async fn scattered_held_readings_are_passed_over(site: &dyn Site) {
    let database = site.open().await;
    store(&*database, &readings(3000)).await;
    let mut transaction = database.begin().await.unwrap();
    let odd: ReadingIds = (1..=2000).filter(|id| id % 2 == 1).collect();
    let even_gone: ReadingIds = (1..=1000).filter(|id| id % 2 == 0).collect();
    transaction
        .insert_manifest(&batch("odd", &odd.encode(), ManifestState::Live))
        .await
        .unwrap();
    transaction.delete_readings(&even_gone).await.unwrap();
    let expected: ReadingIds = (1001..=3000)
        .filter(|id| *id > 2000 || id % 2 == 0)
        .collect();
    let all = claimed(&mut *transaction, ClaimOrder::Oldest, 10_000).await;
    assert_eq!(all, expected.encode());
    let some: ReadingIds = expected.iter().take(700).collect();
    assert_eq!(
        claimed(&mut *transaction, ClaimOrder::Oldest, 700).await,
        some.encode()
    );
}

pub async fn a_late_low_id_is_still_claimed(site: &dyn Site) {
    let database = site.open().await;
    for id in [50, 7, 20] {
        site.execute(&format!(
            "INSERT INTO meter_readings (id, meter_external_id, timestamp, data_point, value) \
             VALUES ({id}, 'M-1', '2026-03-01 00:00:00', 'energy_total', 1)"
        ))
        .await;
    }
    assert_eq!(pending(&*database).await, "7,20,50");
}

pub async fn an_unknown_flag_counts_as_pending(site: &dyn Site) {
    let database = site.open().await;
    store(&*database, &readings(3)).await;
    site.execute("UPDATE meter_readings SET is_synchronized = NULL WHERE id = 1")
        .await;
    site.execute("UPDATE meter_readings SET is_synchronized = TRUE WHERE id = 2")
        .await;
    assert_eq!(pending(&*database).await, "1,3");
}

pub async fn a_removed_manifest_frees_its_readings(site: &dyn Site) {
    let database = site.open().await;
    store(&*database, &readings(10)).await;
    let mut transaction = database.begin().await.unwrap();
    transaction
        .insert_manifest(&batch("a", "1-5", ManifestState::Live))
        .await
        .unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(pending(&*database).await, "6-10");
    let mut transaction = database.begin().await.unwrap();
    transaction.remove_manifest(&key("a")).await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(pending(&*database).await, "1-10");
}
