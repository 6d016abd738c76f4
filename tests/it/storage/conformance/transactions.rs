//! Transactions, and parts of them, that do not reach their end.

use std::{panic::AssertUnwindSafe, sync::Arc};

use futures_util::FutureExt;
use meterit_sync::{domain::batch::ClaimOrder, storage::SyncStore};

use crate::storage::site::*;

pub async fn a_dropped_transaction_leaves_nothing(site: &dyn Site) {
    let database = site.open().await;
    store(&*database, &readings(1)).await;
    for _ in 0..20 {
        let mut transaction = database.begin().await.unwrap();
        transaction
            .insert_readings(&readings(300), None, now())
            .await
            .unwrap();
        transaction.set_savepoint().await.unwrap();
        transaction.delete_readings(&ids("1")).await.unwrap();
        drop(transaction);
        assert_eq!(pending(&*database).await, "1");
    }
}

pub async fn a_savepoint_protects_its_neighbours(site: &dyn Site) {
    let database = site.open().await;
    let mut transaction = database.begin().await.unwrap();
    for (meter, undone) in [("M-1", false), ("M-2", true), ("M-3", false), ("M-4", true)] {
        let mut sent = readings(10);
        for reading in &mut sent {
            reading.meter_external_id = meter.into();
        }
        transaction.set_savepoint().await.unwrap();
        transaction
            .insert_readings(&sent, None, now())
            .await
            .unwrap();
        if undone {
            transaction.return_to_savepoint().await.unwrap();
        }
    }
    transaction.commit().await.unwrap();
    let mut transaction = database.begin().await.unwrap();
    let rows = transaction.claimable(ClaimOrder::Oldest, 100).await;
    let kept: Vec<_> = rows
        .unwrap()
        .into_iter()
        .map(|row| row.parse().unwrap().meter_external_id)
        .collect();
    assert_eq!(kept, [["M-1"; 10], ["M-3"; 10]].concat());
}

pub async fn a_panic_in_a_transaction_undoes_it(site: &dyn Site) {
    let database = site.open().await;
    store(&*database, &readings(2)).await;
    for _ in 0..3 {
        let crash = async {
            let mut transaction = database.begin().await.unwrap();
            transaction.delete_readings(&ids("1")).await.unwrap();
            panic!("planned");
        };
        let crashed: Result<(), _> = AssertUnwindSafe(crash).catch_unwind().await;
        assert!(crashed.is_err());
        assert_eq!(pending(&*database).await, "1-2");
    }
}

pub async fn a_transaction_cancelled_at_any_await_leaves_nothing(site: &dyn Site) {
    let database: Arc<dyn SyncStore> = Arc::from(site.open().await);
    store(&*database, &readings(500)).await;
    for polls in 1..40 {
        let writer = Arc::clone(&database);
        let mut work = Box::pin(async move {
            let mut transaction = writer.begin().await.unwrap();
            transaction
                .insert_readings(&readings(300), None, now())
                .await
                .unwrap();
            transaction.delete_readings(&ids("1-400")).await.unwrap();
            transaction
                .claimable(ClaimOrder::Oldest, 100)
                .await
                .unwrap();
            std::future::pending::<()>().await;
        });
        for _ in 0..polls {
            assert!(futures_util::poll!(&mut work).is_pending());
            tokio::task::yield_now().await;
        }
        drop(work);
        assert_eq!(pending(&*database).await, "1-500", "after {polls} polls");
    }
}
