//! Manifests, facts, the operation log, meters, and what people look at.

use meterit_sync::{
    domain::{
        batch::ManifestState,
        history::{KEPT_MINUTES, Sample, beginning_of},
        meter::MeterConfiguration,
    },
    storage::{Fact, Flight, Window},
};

use crate::storage::site::*;

pub async fn manifests_survive_a_restart(site: &dyn Site) {
    let database = site.open().await;
    let mut written = batch("a", "1-1000,1005", ManifestState::Live);
    written.body = (0..=255).collect::<Vec<u8>>().into();
    let mut transaction = database.begin().await.unwrap();
    transaction.insert_manifest(&written).await.unwrap();
    transaction
        .insert_manifest(&batch("b", "1006", ManifestState::Live))
        .await
        .unwrap();
    written.manifest.attempts = 3;
    written.manifest.failed_passes = 2;
    written.manifest.state = ManifestState::Parked;
    written.manifest.last_error = Some("no answer".to_owned());
    written.manifest.last_status = Some(503);
    transaction
        .update_manifest(&written.manifest)
        .await
        .unwrap();
    transaction.commit().await.unwrap();
    database.close().await;

    let database = site.open().await;
    // Where several instances share a queue, what a closed one held is nobody's until it is taken over.
    let mut transaction = database.begin().await.unwrap();
    transaction.take_over().await.unwrap();
    transaction.commit().await.unwrap();
    let manifests = database.manifests().await.unwrap();
    assert_eq!(manifests.len(), 2);
    written.manifest.epoch = manifests[0].epoch;
    assert_eq!(manifests[0], written.manifest);
    let read = database.batch(&key("a")).await.unwrap().expect("a batch");
    assert_eq!((read.manifest, read.body), (written.manifest, written.body));
    let mut transaction = database.begin().await.unwrap();
    assert!(transaction.batch(&key("a")).await.unwrap().is_some());
    transaction.remove_manifest(&key("a")).await.unwrap();
    assert!(transaction.batch(&key("a")).await.unwrap().is_none());
    transaction.commit().await.unwrap();
    assert!(database.batch(&key("a")).await.unwrap().is_none());
}

pub async fn many_manifests_are_written_at_once(site: &dyn Site) {
    let database = site.open().await;
    let numbers = 1..=19_i64;
    let batches: Vec<_> = numbers
        .map(|number| {
            batch(
                &format!("batch {number}"),
                &number.to_string(),
                ManifestState::Live,
            )
        })
        .collect();
    let mut transaction = database.begin().await.unwrap();
    transaction.insert_manifests(&[]).await.unwrap();
    transaction.insert_manifests(&batches).await.unwrap();
    transaction.commit().await.unwrap();
    let manifests = database.manifests().await.unwrap();
    let written: Vec<_> = batches.iter().map(|batch| &batch.manifest.key).collect();
    let found: Vec<_> = manifests.iter().map(|manifest| &manifest.key).collect();
    assert_eq!(found, written);
    for batch in &batches {
        let found = database.batch(&batch.manifest.key).await.unwrap();
        let found = found.expect("a batch");
        assert_eq!(found.manifest.reading_ids, batch.manifest.reading_ids);
        assert_eq!(found.body, batch.body);
    }
}

pub async fn what_is_on_its_way_is_known(site: &dyn Site) {
    let database = site.open().await;
    assert_eq!(database.flight().await.unwrap(), Flight::default());
    let mut transaction = database.begin().await.unwrap();
    let mut live = batch("live", "1-500", ManifestState::Live);
    live.manifest.last_error = Some("nothing that lasts".to_owned());
    let mut parked = batch("parked", "501-600,605", ManifestState::Parked);
    parked.manifest.last_error = Some("no answer".to_owned());
    for manifest in [live, parked] {
        transaction.insert_manifest(&manifest).await.unwrap();
    }
    transaction.commit().await.unwrap();
    let flight = database.flight().await.unwrap();
    assert_eq!((flight.readings, flight.parked), (601, 1));
    assert_eq!(flight.parked_error.as_deref(), Some("no answer"));
    assert!(!flight.abandoned);
}

pub async fn manifests_are_found_by_state_and_root(site: &dyn Site) {
    let database = site.open().await;
    let mut transaction = database.begin().await.unwrap();
    for (name, root, state) in [
        ("a", "a", ManifestState::Live),
        ("b", "root-1", ManifestState::Part),
        ("c", "root-2", ManifestState::Part),
        ("d", "root-1", ManifestState::Suspect),
        ("e", "root-1", ManifestState::Part),
    ] {
        let mut piece = batch(name, "1-2", state);
        piece.manifest.root = key(root);
        transaction.insert_manifest(&piece).await.unwrap();
    }
    let root = key("root-1");
    for (state, root, expected) in [
        (ManifestState::Part, None, vec!["b", "c", "e"]),
        (ManifestState::Part, Some(&root), vec!["b", "e"]),
        (ManifestState::Suspect, Some(&root), vec!["d"]),
        (ManifestState::Parked, None, vec![]),
    ] {
        let found = transaction.manifests_in(state, root).await.unwrap();
        let found: Vec<_> = found
            .iter()
            .map(|manifest| manifest.key.0.as_str())
            .collect();
        assert_eq!(found, expected);
    }
}

pub async fn facts_are_remembered_and_forgotten(site: &dyn Site) {
    let database = site.open().await;
    assert_eq!(database.fact(Fact::HeldUntil).await.unwrap(), None);
    for value in [Some("2026-03-01T13:00:00.000Z"), Some("later"), None] {
        let mut transaction = database.begin().await.unwrap();
        transaction.remember(Fact::HeldUntil, value).await.unwrap();
        transaction.commit().await.unwrap();
        assert_eq!(
            database.fact(Fact::HeldUntil).await.unwrap().as_deref(),
            value
        );
        assert_eq!(database.fact(Fact::Configuration).await.unwrap(), None);
    }
}

pub async fn the_operation_log_adds_up(site: &dyn Site) {
    let database = site.open().await;
    let mut transaction = database.begin().await.unwrap();
    for (size, error, at) in [
        (1000, None, "2026-02-01 00:00"),
        (1000, None, "2026-03-01 10:00"),
        (500, Some("refused"), "2026-03-01 10:01"),
        (7, None, "2026-03-01 10:02"),
    ] {
        transaction
            .append_sync_log(size, error, time(at))
            .await
            .unwrap();
    }
    transaction.commit().await.unwrap();
    let stats = database.sync_stats(time("2026-03-01 00:00")).await.unwrap();
    assert_eq!(
        (
            stats.total_syncs,
            stats.successful_syncs,
            stats.failed_syncs
        ),
        (3, 2, 1)
    );
    assert_eq!(stats.total_readings_synced, 1007);
    let window = Window {
        limit: 2,
        offset: 1,
    };
    let page = database.sync_log(window).await.unwrap();
    assert_eq!((page.total, page.items.len()), (4, 2));
    assert!(!page.items[0].success);
    assert_eq!(page.items[0].error_message.as_deref(), Some("refused"));
    assert_eq!(page.items[0].synced_at, Some(time("2026-03-01 10:01")));
    assert_eq!(
        (page.items[1].success, page.items[1].batch_size),
        (true, 1000)
    );
    let failures = database.sync_log_by_outcome(false, 10).await.unwrap();
    assert_eq!(failures, [page.items[0].clone()]);
    let success = database.sync_log_by_outcome(true, 1).await.unwrap();
    assert_eq!(success.len(), 1);
    assert_eq!(
        database
            .sync_log_by_outcome(true, 10)
            .await
            .unwrap()
            .first(),
        success.first(),
        "the newest first"
    );
    let mut transaction = database.begin().await.unwrap();
    let before = time("2026-03-01 10:02");
    assert_eq!(
        transaction.delete_sync_log_before(before, 2).await.unwrap(),
        2
    );
    assert_eq!(
        transaction.delete_sync_log_before(before, 2).await.unwrap(),
        1
    );
    transaction.commit().await.unwrap();
    assert_eq!(database.sync_log(ALL).await.unwrap().total, 1);
}

fn configured(external_id: &str, name: &str) -> MeterConfiguration {
    MeterConfiguration {
        external_id: external_id.to_owned(),
        name: name.to_owned(),
        bacnet_device_id: Some(1001),
        bacnet_ip: Some("10.0.0.7".to_owned()),
        config: Some(r#"{"points":["energy_total"]}"#.to_owned()),
    }
}

pub async fn configurations_bring_and_retire_meters(site: &dyn Site) {
    let database = site.open().await;
    site.execute(
        "INSERT INTO meters (external_id, name, is_active) VALUES ('M-1', 'old name', FALSE)",
    )
    .await;
    let mut transaction = database.begin().await.unwrap();
    let first = [
        configured("M-1", "Main"),
        configured("M-2", "x"),
        configured("M-2", "Annex"),
    ];
    let changes = transaction.upsert_meters(&first, now()).await.unwrap();
    assert_eq!((changes.configured, changes.deactivated), (3, 0));
    transaction.commit().await.unwrap();
    let meters = database.meters(ALL).await.unwrap();
    let names: Vec<_> = meters
        .items
        .iter()
        .map(|meter| meter.name.as_str())
        .collect();
    assert_eq!(names, ["Annex", "Main"]);
    assert!(
        meters
            .items
            .iter()
            .all(|meter| meter.is_active && meter.bacnet_device_id == Some(1001))
    );

    let mut bare = configured("M-1", "Main");
    bare.bacnet_ip = None;
    bare.config = None;
    let mut transaction = database.begin().await.unwrap();
    let changes = transaction.upsert_meters(&[bare], now()).await.unwrap();
    assert_eq!((changes.configured, changes.deactivated), (1, 1));
    transaction.commit().await.unwrap();
    let meters = database.meters(ALL).await.unwrap();
    assert_eq!(meters.total, 2);
    assert_eq!(
        (meters.items[0].is_active, meters.items[1].is_active),
        (false, true)
    );
    assert_eq!(meters.items[1].bacnet_ip.as_deref(), Some("10.0.0.7"));
    let config = "SELECT config FROM meters WHERE external_id = 'M-1'";
    let config: serde_json::Value = serde_json::from_str(&site.ask(config).await.unwrap()).unwrap();
    assert_eq!(config["points"][0], "energy_total");
}

pub async fn an_empty_configuration_retires_nobody(site: &dyn Site) {
    let database = site.open().await;
    let mut transaction = database.begin().await.unwrap();
    transaction
        .upsert_meters(&[configured("M-1", "Main")], now())
        .await
        .unwrap();
    let changes = transaction.upsert_meters(&[], now()).await.unwrap();
    assert_eq!((changes.configured, changes.deactivated), (0, 0));
    transaction.commit().await.unwrap();
    assert!(database.meters(ALL).await.unwrap().items[0].is_active);
}

pub async fn local_readings_are_shown_newest_first(site: &dyn Site) {
    let database = site.open().await;
    let mut sent = readings(5);
    sent[0].timestamp = time("2026-01-01 00:00");
    sent[4].meter_external_id = "M-2".into();
    store(&*database, &sent).await;
    site.execute("UPDATE meter_readings SET is_synchronized = TRUE, retry_count = 2 WHERE id = 4")
        .await;
    let since = time("2026-02-01 00:00");
    let window = Window {
        limit: 2,
        offset: 0,
    };
    let page = database.readings(None, since, window).await.unwrap();
    assert_eq!((page.total, page.items.len()), (4, 2));
    assert_eq!((page.items[0].id, page.items[1].id), (5, 4));
    let shown = &page.items[1];
    assert!(shown.is_synchronized);
    assert_eq!(shown.retry_count, 2);
    assert_eq!(shown.timestamp.as_deref(), Some("2026-03-01T11:59:00.125Z"));
    assert_eq!(
        shown.value.as_ref().map(|value| value.as_str()),
        Some("3.125")
    );
    assert_eq!(shown.created_at, Some(now()));
    let page = database.readings(Some("M-1"), since, ALL).await.unwrap();
    assert_eq!(page.total, 3);
    let page = database.readings(Some("nobody"), since, ALL).await.unwrap();
    assert_eq!((page.total, page.items.len()), (0, 0));
}

pub async fn the_last_collection_outlives_its_readings(site: &dyn Site) {
    let database = site.open().await;
    assert_eq!(database.last_collection().await.unwrap(), None);
    store(&*database, &readings(2)).await;
    let measured = Some(time("2026-03-01 11:59:00.125"));
    assert_eq!(database.last_collection().await.unwrap(), measured);
    site.execute("INSERT INTO meters (external_id, name) VALUES ('M-1', 'Main')")
        .await;
    store(&*database, &readings(2)).await;
    let mut transaction = database.begin().await.unwrap();
    transaction.delete_readings(&ids("1-4")).await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(database.last_collection().await.unwrap(), measured);
}

pub async fn another_programs_commit_changes_the_length(site: &dyn Site) {
    let database = site.open().await;
    let quiet = database.length().await.unwrap();
    assert_eq!(database.length().await.unwrap(), quiet);
    site.execute(
        "INSERT INTO meter_readings (meter_external_id, timestamp, data_point, value) \
         VALUES ('M-1', '2026-03-01 00:00:00', 'energy_total', 1.5)",
    )
    .await;
    let changed = database.length().await.unwrap();
    assert_ne!(changed, quiet);
    assert_eq!(database.length().await.unwrap(), changed);
    assert_eq!(pending(&*database).await, "1");
    let arrived = database.queue_bounds().await.unwrap().oldest_pending_at;
    assert!(
        arrived.is_some(),
        "the default of created_at is a readable time"
    );
}

pub async fn minutes_are_kept_for_a_month(site: &dyn Site) {
    let database = site.open().await;
    let sample = |minute, pending, uploaded| Sample {
        at: beginning_of(minute),
        pending,
        oldest_pending_age_s: (pending > 0).then_some(7),
        uploaded,
        offline_s: 3,
    };
    let month = KEPT_MINUTES;
    let mut transaction = database.begin().await.unwrap();
    for minute in [1, 2, 5] {
        transaction
            .record_sample(&sample(minute, 10, 20))
            .await
            .unwrap();
    }
    // Another instance tells of the same minute.
    transaction.record_sample(&sample(5, 0, 1)).await.unwrap();
    transaction.commit().await.unwrap();
    let kept = database.samples(0..100).await.unwrap();
    assert_eq!(
        kept,
        [sample(1, 10, 20), sample(2, 10, 20), sample(5, 0, 21)]
    );
    assert_eq!(database.samples(2..5).await.unwrap(), [sample(2, 10, 20)]);
    let mut transaction = database.begin().await.unwrap();
    transaction
        .record_sample(&sample(month + 2, 1, 0))
        .await
        .unwrap();
    transaction.commit().await.unwrap();
    let kept = database.samples(0..month + 10).await.unwrap();
    assert_eq!(
        kept,
        [sample(2, 10, 20), sample(5, 0, 21), sample(month + 2, 1, 0)]
    );
}
