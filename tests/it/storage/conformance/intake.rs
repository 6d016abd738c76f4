//! Readings that come in.

use meterit_sync::{
    domain::{
        batch::ClaimOrder,
        census::Stretch,
        reading::{RawReading, Reading},
        timestamp::Timestamp,
    },
    storage::{Ingested, StoreError, SyncStore},
};

use crate::storage::site::*;

/// The rows that would be claimed first.
async fn oldest(database: &dyn SyncStore, limit: usize) -> Vec<RawReading> {
    let mut transaction = database.begin().await.unwrap();
    let rows = transaction.claimable(ClaimOrder::Oldest, limit).await;
    rows.unwrap()
}

pub async fn stored_readings_are_claimed_as_they_came(site: &dyn Site) {
    let database = site.open().await;
    let mut sent = readings(3);
    sent[1].unit = None;
    sent[2].timestamp = time("2026-03-01 11:59:00.123456");
    sent[2].meter_external_id = "M-\u{e4} 'quoted' \"twice\"".into();
    store(&*database, &sent).await;
    let claimed = oldest(&*database, 10).await;
    let claimed: Vec<_> = claimed
        .into_iter()
        .map(|row| row.parse().unwrap())
        .collect();
    assert_eq!(claimed, sent);
}

pub async fn any_number_of_readings_is_stored(site: &dyn Site) {
    let database = site.open().await;
    let mut expected = 0;
    for count in [0, 1, 5, 63, 256, 1365] {
        store(&*database, &readings(count)).await;
        expected += count as u64;
        let all = Stretch {
            after: i64::MIN,
            upper: i64::MAX,
        };
        assert_eq!(database.count_pending(all).await.unwrap(), expected);
    }
}

pub async fn values_that_fit_the_column_stay_exact(site: &dyn Site) {
    let database = site.open().await;
    let mut values: Vec<String> = [
        "999999999999.999",
        "-999999999999.999",
        "0.001",
        "-0.1",
        "0",
    ]
    .map(str::to_owned)
    .into();
    let mut number: i64 = 88_172_645_463_325_252;
    for _ in 0..5000 {
        number = number
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let thousandths = number.unsigned_abs() % 1_000_000_000_000_000;
        values.push(format!("{}.{:03}", thousandths / 1000, thousandths % 1000));
    }
    let sent: Vec<_> = values.iter().map(|value| reading(value)).collect();
    store(&*database, &sent).await;
    let claimed = oldest(&*database, sent.len()).await;
    assert_eq!(claimed.len(), sent.len());
    for (row, value) in claimed.into_iter().zip(values) {
        let stored = row.parse().unwrap().value.to_string();
        assert_eq!(thousandths(&stored), thousandths(&value), "{value}");
    }
}

pub async fn times_as_fine_as_it_tells_apart_stay_exact(site: &dyn Site) {
    let database = site.open().await;
    let apart = database.nanoseconds_apart();
    let at = |nanoseconds: u32| {
        let fraction = nanoseconds - nanoseconds % apart;
        Timestamp::parse_zoned(&format!("2026-01-01T00:00:00.{fraction:09}Z")).unwrap()
    };
    let times = [0, 123_456_789, 999_999_999, apart].map(at);
    let sent = times.map(|timestamp| Reading {
        timestamp,
        // A zero that PostgreSQL does not take as it is written.
        ..reading("0e99999999999999")
    });
    store(&*database, &sent).await;
    let claimed = oldest(&*database, sent.len()).await;
    let found: Vec<_> = claimed
        .into_iter()
        .map(|row| row.parse().unwrap().timestamp)
        .collect();
    assert_eq!(found, times);
}

fn thousandths(decimal: &str) -> i64 {
    let (integer, fraction) = decimal.split_once('.').unwrap_or((decimal, ""));
    format!("{integer}{fraction:0<3}")
        .parse()
        .expect("a decimal")
}

pub async fn a_repeated_key_adds_nothing(site: &dyn Site) {
    let database = site.open().await;
    for repeated in [false, true] {
        let mut transaction = database.begin().await.unwrap();
        let ingested = transaction
            .insert_readings(&readings(3), Some("request-1"), now())
            .await
            .unwrap();
        transaction.commit().await.unwrap();
        assert_eq!(ingested, Ingested { count: 3, repeated });
    }
    database.close().await;
    let reopened = site.open().await;
    let mut transaction = reopened.begin().await.unwrap();
    let ingested = transaction
        .insert_readings(&readings(3), Some("request-1"), now())
        .await
        .unwrap();
    assert!(ingested.repeated);
    transaction.commit().await.unwrap();
    assert_eq!(pending(&*reopened).await, "1-3");
}

pub async fn a_key_with_other_contents_is_refused(site: &dyn Site) {
    let database = site.open().await;
    let mut transaction = database.begin().await.unwrap();
    transaction
        .insert_readings(&readings(3), Some("request-1"), now())
        .await
        .unwrap();
    let mut others = readings(3);
    others[2].unit = None;
    for other in [readings(2), others, vec![]] {
        let refusal = transaction
            .insert_readings(&other, Some("request-1"), now())
            .await;
        assert!(matches!(refusal, Err(StoreError::KeyReused(key)) if key == "request-1"));
    }
    transaction.commit().await.unwrap();
    assert_eq!(pending(&*database).await, "1-3");
}

pub async fn old_keys_are_forgotten(site: &dyn Site) {
    let database = site.open().await;
    let mut transaction = database.begin().await.unwrap();
    for (key, at) in [
        ("a", "2026-02-01 00:00"),
        ("b", "2026-02-02 00:00"),
        ("c", "2026-03-01 00:00"),
    ] {
        transaction
            .insert_readings(&readings(1), Some(key), time(at))
            .await
            .unwrap();
    }
    let before = time("2026-02-15 00:00");
    assert_eq!(
        transaction
            .delete_ingestion_keys_before(before, 1)
            .await
            .unwrap(),
        1
    );
    assert_eq!(
        transaction
            .delete_ingestion_keys_before(before, 9)
            .await
            .unwrap(),
        1
    );
    let again = transaction
        .insert_readings(&readings(1), Some("c"), now())
        .await
        .unwrap();
    assert!(again.repeated);
}

pub async fn known_meters_learn_of_their_last_reading(site: &dyn Site) {
    let database = site.open().await;
    site.execute("INSERT INTO meters (external_id, name) VALUES ('M-1', 'Main'), ('M-2', 'Other')")
        .await;
    let mut sent = readings(3);
    sent[1].timestamp = time("2026-03-01 11:59:30");
    sent[2].meter_external_id = "unknown".into();
    store(&*database, &sent).await;
    sent.truncate(1);
    store(&*database, &sent).await;
    let known = async || {
        let meters = database.meters(ALL).await.unwrap();
        assert_eq!(meters.total, 2);
        [0, 1].map(|place: usize| meters.items[place].last_reading_at)
    };
    assert_eq!(known().await, [Some(time("2026-03-01 11:59:30")), None]);
    let newest = [
        ("M-1", "2026-03-01 11:59:29"),
        ("M-2", "2026-03-01 11:00:00"),
        ("unknown", "2026-03-01 11:00:00"),
    ];
    let newest = newest.map(|(meter, at)| (meter.to_owned(), time(at)));
    let mut transaction = database.begin().await.unwrap();
    transaction
        .note_last_readings(&newest.into())
        .await
        .unwrap();
    transaction.commit().await.unwrap();
    let newest = ["2026-03-01 11:59:30", "2026-03-01 11:00:00"];
    assert_eq!(known().await, newest.map(|at| Some(time(at))));
}
