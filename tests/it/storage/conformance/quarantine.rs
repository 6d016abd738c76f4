//! Readings that were set aside.

use meterit_sync::domain::{
    batch::ClaimOrder,
    quarantine::{QuarantineCorrection, QuarantineFilter, QuarantineReason::*},
    reading::RawReading,
};

use crate::storage::site::*;

pub async fn readings_are_set_aside_with_an_audit(site: &dyn Site) {
    let database = site.open().await;
    store(&*database, &readings(5)).await;
    site.execute("UPDATE meter_readings SET retry_count = 4 WHERE id = 2")
        .await;
    let mut transaction = database.begin().await.unwrap();
    let moved = transaction
        .quarantine(
            &[
                entry(4, PossiblyStored),
                entry(2, Refused),
                entry(99, Refused),
            ],
            now(),
        )
        .await
        .unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(moved.encode(), "2,4");
    assert_eq!(pending(&*database).await, "1,3,5");
    assert_eq!(database.quarantined_count().await.unwrap(), 2);
    let page = database.quarantine(&any(), ALL).await.unwrap();
    assert_eq!((page.total, page.items.len()), (2, 2));
    let refused = &page.items[1];
    assert_eq!((refused.reading_id, refused.reason), (2, Refused));
    assert_eq!(refused.value.as_deref(), Some("1.125"));
    assert_eq!(
        refused.timestamp.as_deref(),
        Some("2026-03-01 11:59:00.125")
    );
    assert_eq!(refused.unit.as_deref(), Some("kWh"));
    assert_eq!(
        (refused.status, refused.message.as_str()),
        (Some(400), "value out of range")
    );
    assert_eq!(refused.idempotency_key.as_deref(), Some("batch"));
    assert_eq!(refused.quarantined_at, now());
    assert_eq!(audit(site, "quarantined").await, "2");
    let kept = "SELECT retry_count FROM quarantined_readings WHERE reading_id = 2";
    assert_eq!(site.ask(kept).await.as_deref(), Some("4"));
}

pub async fn corrected_readings_return_under_new_ids(site: &dyn Site) {
    let database = site.open().await;
    store(&*database, &readings(3)).await;
    site.execute("UPDATE meter_readings SET created_at = '2026-01-01 01:01:01', retry_count = 2 WHERE id = 3").await;
    set_aside(&*database, &[entry(3, Refused)]).await;
    let mut transaction = database.begin().await.unwrap();
    let correction = QuarantineCorrection {
        value: Some("12.345".to_owned()),
        timestamp: Some(time("2026-03-01 10:00:00.500")),
        unit: Some(None),
        ..QuarantineCorrection::default()
    };
    assert!(transaction.correct(1, &correction, now()).await.unwrap());
    assert!(!transaction.correct(2, &correction, now()).await.unwrap());
    let result = transaction.requeue(&any(), false, now()).await.unwrap();
    assert_eq!(
        (result.affected, result.unreadable, result.possibly_stored),
        (1, 0, 0)
    );
    let rows = transaction
        .claimable(ClaimOrder::After(2), 10)
        .await
        .unwrap();
    transaction.commit().await.unwrap();
    let [row] = <[_; 1]>::try_from(rows).expect("one row");
    assert!(row.id > 3, "the old id must not be used again");
    let reading = row.parse().unwrap();
    assert_eq!(reading.value.as_str(), "12.345");
    assert_eq!(reading.timestamp, time("2026-03-01 10:00:00.500"));
    assert_eq!(
        (reading.unit, reading.data_point.as_str()),
        (None, "energy_total")
    );
    let kept = "SELECT count(*) FROM meter_readings WHERE id > 3 AND retry_count = 2 AND created_at = '2026-01-01 01:01:01'";
    assert_eq!(site.ask(kept).await.as_deref(), Some("1"));
    assert_eq!(database.quarantined_count().await.unwrap(), 0);
    assert_eq!(audit(site, "corrected").await, "1");
    assert_eq!(audit(site, "requeued").await, "1");
    let details = site
        .ask("SELECT details FROM quarantine_audit WHERE action = 'corrected'")
        .await
        .unwrap();
    let details: serde_json::Value = serde_json::from_str(&details).unwrap();
    assert_eq!(details["before"]["value"], "2.125");
    assert_eq!(details["before"]["unit"], "kWh");
    assert_eq!(details["after"]["value"], "12.345");
    assert!(details["after"]["unit"].is_null());
}

pub async fn unreadable_rows_are_named_and_return_corrected(site: &dyn Site) {
    let database = site.open().await;
    let unreadable = site.unreadable();
    for (timestamp, value) in [
        (unreadable.timestamp, "1.125"),
        ("2026-03-01 00:00:00.125", unreadable.value),
        ("2026-03-01 00:00:00.125", "3.125"),
    ] {
        site.execute(&format!(
            "INSERT INTO meter_readings (meter_external_id, timestamp, data_point, value) \
             VALUES ('M-1', '{timestamp}', 'energy_total', '{value}')"
        ))
        .await;
    }
    let mut transaction = database.begin().await.unwrap();
    let rows = transaction.claimable(ClaimOrder::Oldest, 10).await.unwrap();
    drop(transaction);
    let found = |row: RawReading| {
        row.parse()
            .map_err(|problem| (problem.column, problem.found))
    };
    let [time_row, value_row, sound_row] = <[_; 3]>::try_from(rows).expect("three rows");
    let its_text = |text: &str| Some(text.to_owned());
    assert_eq!(
        found(time_row),
        Err(("timestamp", its_text(unreadable.timestamp)))
    );
    assert_eq!(found(value_row), Err(("value", its_text(unreadable.value))));
    assert_eq!(found(sound_row).unwrap().value.as_str(), "3.125");

    set_aside(&*database, &[entry(1, Unreadable), entry(2, Unreadable)]).await;
    assert_eq!(pending(&*database).await, "3");
    let page = database.quarantine(&any(), ALL).await.unwrap();
    let [value_entry, time_entry] = &page.items[..] else {
        panic!("two entries: {page:?}");
    };
    assert_eq!(time_entry.timestamp.as_deref(), Some(unreadable.timestamp));
    assert_eq!(time_entry.value.as_deref(), Some("1.125"));
    assert_eq!(value_entry.value.as_deref(), Some(unreadable.value));
    let mut transaction = database.begin().await.unwrap();
    let result = transaction.requeue(&any(), true, now()).await.unwrap();
    assert_eq!((result.affected, result.unreadable), (0, 2));
    let correction = QuarantineCorrection {
        timestamp: Some(now()),
        value: Some("12.345".to_owned()),
        ..QuarantineCorrection::default()
    };
    for entry in [time_entry, value_entry] {
        assert!(
            transaction
                .correct(entry.id, &correction, now())
                .await
                .unwrap()
        );
    }
    let result = transaction.requeue(&any(), true, now()).await.unwrap();
    assert_eq!((result.affected, result.unreadable), (2, 0));
    let rows = transaction.claimable(ClaimOrder::After(3), 10).await;
    for row in rows.unwrap() {
        let returned = row.parse().unwrap();
        assert_eq!(returned.value.as_str(), "12.345");
        assert_eq!(returned.timestamp, now());
    }
    transaction.commit().await.unwrap();
    assert_eq!(database.quarantined_count().await.unwrap(), 0);
}

pub async fn what_cannot_be_sent_does_not_return(site: &dyn Site) {
    let database = site.open().await;
    store(&*database, &readings(3)).await;
    set_aside(
        &*database,
        &[entry(1, Refused), entry(2, Refused), entry(3, Refused)],
    )
    .await;
    site.execute("UPDATE quarantined_readings SET timestamp = 'soon' WHERE reading_id = 1")
        .await;
    site.execute("UPDATE quarantined_readings SET meter_external_id = NULL WHERE reading_id = 2")
        .await;
    let mut transaction = database.begin().await.unwrap();
    let result = transaction.requeue(&any(), true, now()).await.unwrap();
    assert_eq!((result.affected, result.unreadable), (1, 2));
    assert!(result.first_problem.unwrap().contains("timestamp"));
    transaction.commit().await.unwrap();
    assert_eq!(database.quarantined_count().await.unwrap(), 2);
}

pub async fn possible_doubles_need_consent(site: &dyn Site) {
    let database = site.open().await;
    store(&*database, &readings(2)).await;
    set_aside(&*database, &[entry(1, PossiblyStored), entry(2, Refused)]).await;
    let mut transaction = database.begin().await.unwrap();
    let result = transaction.requeue(&any(), false, now()).await.unwrap();
    assert_eq!((result.affected, result.possibly_stored), (1, 1));
    let result = transaction.requeue(&any(), true, now()).await.unwrap();
    assert_eq!((result.affected, result.possibly_stored), (1, 0));
}

pub async fn filters_choose_entries(site: &dyn Site) {
    let database = site.open().await;
    let mut sent = readings(4);
    sent[3].meter_external_id = "M-2".into();
    store(&*database, &sent).await;
    let reasons = [Refused, Unreadable, PossiblyStored, Refused];
    let entries: Vec<_> = (1..)
        .zip(reasons)
        .map(|(id, reason)| entry(id, reason))
        .collect();
    set_aside(&*database, &entries).await;
    let by_id = QuarantineFilter {
        id: Some(2),
        ..any()
    };
    let by_reason = QuarantineFilter {
        reason: Some(Refused),
        ..any()
    };
    let by_meter = QuarantineFilter {
        meter: Some("M-2".to_owned()),
        ..any()
    };
    let by_both = QuarantineFilter {
        reason: Some(Unreadable),
        meter: Some("M-2".to_owned()),
        ..any()
    };
    let unknown = QuarantineFilter {
        id: Some(99),
        ..any()
    };
    for (filter, expected) in [
        (any(), vec![4, 3, 2, 1]),
        (by_id, vec![2]),
        (by_reason, vec![4, 1]),
        (by_meter, vec![4]),
        (by_both, vec![]),
        (unknown.clone(), vec![]),
    ] {
        let page = database.quarantine(&filter, ALL).await.unwrap();
        let found: Vec<_> = page.items.iter().map(|entry| entry.reading_id).collect();
        assert_eq!(found, expected, "{filter:?}");
        assert_eq!(page.total, expected.len() as i64);
    }
    let mut transaction = database.begin().await.unwrap();
    assert_eq!(
        transaction
            .requeue(&unknown, true, now())
            .await
            .unwrap()
            .affected,
        0
    );
    assert_eq!(
        transaction.discard(&unknown, now()).await.unwrap().affected,
        0
    );
}

pub async fn discarded_readings_leave_an_audit(site: &dyn Site) {
    let database = site.open().await;
    store(&*database, &readings(3)).await;
    set_aside(
        &*database,
        &[entry(1, Refused), entry(2, Refused), entry(3, Unreadable)],
    )
    .await;
    let mut transaction = database.begin().await.unwrap();
    let refused = QuarantineFilter {
        reason: Some(Refused),
        ..any()
    };
    assert_eq!(
        transaction.discard(&refused, now()).await.unwrap().affected,
        2
    );
    transaction.commit().await.unwrap();
    assert_eq!(database.quarantined_count().await.unwrap(), 1);
    assert_eq!(audit(site, "discarded").await, "2");
    assert_eq!(pending(&*database).await, "");
}

pub async fn thousands_return_at_once(site: &dyn Site) {
    let database = site.open().await;
    store(&*database, &readings(2500)).await;
    let entries: Vec<_> = (1..=2500).map(|id| entry(id, Refused)).collect();
    set_aside(&*database, &entries).await;
    assert_eq!(audit(site, "quarantined").await, "2500");
    let mut transaction = database.begin().await.unwrap();
    assert_eq!(
        transaction
            .requeue(&any(), false, now())
            .await
            .unwrap()
            .affected,
        2500
    );
    transaction.commit().await.unwrap();
    assert_eq!(pending(&*database).await, "2501-5000");
    assert_eq!(audit(site, "requeued").await, "2500");
    let wrong = "SELECT count(*) FROM meter_readings WHERE value <> id - 2501 + 0.125";
    assert_eq!(
        site.ask(wrong).await.as_deref(),
        Some("0"),
        "the order of arrival is kept"
    );
}

async fn audit(site: &dyn Site, action: &str) -> String {
    let count = format!("SELECT count(*) FROM quarantine_audit WHERE action = '{action}'");
    site.ask(&count).await.unwrap()
}
