//! Tables that another program made are taken over in place.

use meterit_sync::storage::{StoreError, sqlite::SqliteStore};

use super::site::*;

async fn refusal(tables: &str) -> String {
    let site = SqliteSite::new();
    site.execute(tables).await;
    let before = site
        .ask("SELECT group_concat(sql) FROM sqlite_schema")
        .await;
    let refused = SqliteStore::open(&site.file()).await.expect_err(tables);
    assert!(matches!(refused, StoreError::Unsuitable(_)), "{refused}");
    let after = site
        .ask("SELECT group_concat(sql) FROM sqlite_schema")
        .await;
    assert_eq!(before, after, "a refusal changes nothing");
    refused.to_string()
}

#[tokio::test]
async fn the_deployed_tables_are_taken_over_with_their_rows() {
    let site = SqliteSite::new();
    site.execute(
        "CREATE TABLE meters (id INTEGER PRIMARY KEY AUTOINCREMENT, external_id VARCHAR(255) UNIQUE NOT NULL, \
           name VARCHAR(255) NOT NULL, bacnet_device_id INTEGER, bacnet_ip VARCHAR(45), config JSONB, \
           last_reading_at TIMESTAMP, is_active BOOLEAN DEFAULT TRUE, \
           created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP, updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP); \
         CREATE TABLE meter_readings (id INTEGER PRIMARY KEY AUTOINCREMENT, meter_external_id VARCHAR(255) NOT NULL, \
           timestamp TIMESTAMP NOT NULL, data_point VARCHAR(100) NOT NULL, value NUMERIC(15,3) NOT NULL, \
           unit VARCHAR(50), is_synchronized BOOLEAN DEFAULT FALSE, retry_count INTEGER DEFAULT 0, \
           created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP); \
         CREATE TABLE sync_log (id INTEGER PRIMARY KEY AUTOINCREMENT, batch_size INTEGER NOT NULL, \
           success BOOLEAN NOT NULL, error_message TEXT, synced_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP); \
         INSERT INTO meter_readings (id, meter_external_id, timestamp, data_point, value) VALUES \
           (7, 'M-1', '2026-03-01 00:00:00', 'energy_total', 123456789012.345), \
           (9, 'M-1', '2026-03-01 00:01:00', 'energy_total', 2); \
         INSERT INTO sync_log (batch_size, success) VALUES (10, 1);",
    )
    .await;
    let definition = "SELECT sql FROM sqlite_schema WHERE name = 'sync_log'";
    let before = site.ask(definition).await;
    let database = site.open().await;
    assert_eq!(pending(&*database).await, "7,9");
    let bounds = database.queue_bounds().await.unwrap();
    assert!(bounds.oldest_pending_at.is_some());
    assert_eq!(database.sync_log(ALL).await.unwrap().total, 1);
    assert_eq!(site.ask(definition).await, before);
    let mut transaction = database.begin().await.unwrap();
    transaction
        .mark_synchronized(&ids("7"), now())
        .await
        .unwrap();
    transaction.commit().await.unwrap();
    database.close().await;
    let database = site.open().await;
    assert_eq!(pending(&*database).await, "9");
}

#[tokio::test]
async fn missing_columns_are_added() {
    let site = SqliteSite::new();
    site.execute(
        "CREATE TABLE meters (id INTEGER PRIMARY KEY, external_id TEXT NOT NULL UNIQUE, name TEXT NOT NULL); \
         CREATE TABLE meter_readings (ID INTEGER PRIMARY KEY AUTOINCREMENT, Meter_External_Id TEXT NOT NULL, \
           Timestamp TEXT NOT NULL, data_point TEXT NOT NULL, value REAL NOT NULL); \
         CREATE TABLE sync_log (id INTEGER PRIMARY KEY, batch_size INTEGER NOT NULL, success BOOLEAN NOT NULL); \
         INSERT INTO meters (external_id, name) VALUES ('M-1', 'Main'); \
         INSERT INTO meter_readings (Meter_External_Id, Timestamp, data_point, value) \
           VALUES ('M-1', '2026-03-01 00:00:00', 'energy_total', 1.5);",
    )
    .await;
    let database = site.open().await;
    assert_eq!(pending(&*database).await, "1");
    assert_eq!(
        database.queue_bounds().await.unwrap().oldest_pending_at,
        None
    );
    store(&*database, &readings(2)).await;
    assert_eq!(pending(&*database).await, "1-3");
    let meters = database.meters(ALL).await.unwrap();
    assert!(meters.items[0].is_active);
    assert!(meters.items[0].last_reading_at.is_some());
    let mut transaction = database.begin().await.unwrap();
    transaction.increment_retry_count(&ids("1")).await.unwrap();
    transaction
        .append_sync_log(3, Some("refused"), now())
        .await
        .unwrap();
    transaction.commit().await.unwrap();
}

#[tokio::test]
async fn a_table_that_would_reuse_ids_is_rebuilt() {
    let site = SqliteSite::new();
    site.execute(
        "CREATE TABLE \"meter_readings\" (/* PRIMARY KEY */ id INTEGER PRIMARY KEY, \
           meter_external_id TEXT NOT NULL DEFAULT 'it''s; a PRIMARY KEY', timestamp TEXT NOT NULL, \
           data_point TEXT NOT NULL, value NUMERIC(15,3) NOT NULL, note TEXT, \
           doubled NUMERIC AS (value * 2) STORED, is_synchronized BOOLEAN); \
         CREATE TABLE seen (reading_id INTEGER REFERENCES meter_readings (id)); \
         CREATE INDEX by_note ON meter_readings (note); \
         CREATE VIEW noted AS SELECT id, note FROM meter_readings WHERE note IS NOT NULL; \
         CREATE TRIGGER see AFTER INSERT ON meter_readings BEGIN INSERT INTO seen VALUES (new.id); END; \
         INSERT INTO meter_readings (id, timestamp, data_point, value, note) VALUES \
           (3, '2026-03-01 00:00:00', 'energy_total', 1.5, 'kept'), \
           (8, '2026-03-01 00:00:00', 'energy_total', 'n/a', X'00FF');",
    )
    .await;
    let database = site.open().await;
    assert_eq!(pending(&*database).await, "3,8");
    for (question, answer) in [
        ("SELECT note FROM noted WHERE id = 3", "kept"),
        (
            "SELECT typeof(note) FROM meter_readings WHERE id = 8",
            "blob",
        ),
        ("SELECT doubled FROM meter_readings WHERE id = 3", "3"),
        ("SELECT count(*) FROM seen", "2"),
        (
            "SELECT count(*) FROM sqlite_schema WHERE name IN ('by_note', 'see', 'noted')",
            "3",
        ),
        (
            "SELECT count(*) FROM sqlite_schema WHERE sql LIKE '%rebuilt%'",
            "0",
        ),
        (
            "SELECT \"table\" FROM pragma_foreign_key_list('seen')",
            "meter_readings",
        ),
        ("SELECT integrity_check FROM pragma_integrity_check", "ok"),
    ] {
        assert_eq!(
            site.ask(question).await.as_deref(),
            Some(answer),
            "{question}"
        );
    }
    let mut transaction = database.begin().await.unwrap();
    transaction.delete_readings(&ids("8")).await.unwrap();
    transaction.commit().await.unwrap();
    store(&*database, &readings(1)).await;
    assert_eq!(pending(&*database).await, "3,9");
    assert_eq!(
        site.ask("SELECT count(*) FROM seen").await.as_deref(),
        Some("3")
    );
    database.close().await;
    let database = site.open().await;
    assert_eq!(pending(&*database).await, "3,9");
}

#[tokio::test]
async fn a_key_of_the_whole_table_is_understood() {
    let site = SqliteSite::new();
    site.execute(
        "CREATE TABLE meter_readings (id integer, meter_external_id TEXT, timestamp TEXT, data_point TEXT, \
           value NUMERIC, PRIMARY KEY (id))",
    )
    .await;
    let database = site.open().await;
    store(&*database, &readings(2)).await;
    site.execute("DELETE FROM meter_readings").await;
    store(&*database, &readings(1)).await;
    assert_eq!(pending(&*database).await, "3");
}

#[tokio::test]
async fn what_cannot_be_taken_over_is_named() {
    let fields = "meter_external_id TEXT, timestamp TEXT, data_point TEXT, value NUMERIC";
    for (id, words) in [
        ("id TEXT PRIMARY KEY", "INTEGER PRIMARY KEY"),
        ("id INTEGER PRIMARY KEY DESC", "INTEGER PRIMARY KEY"),
        ("id INTEGER", "INTEGER PRIMARY KEY"),
        ("number INTEGER PRIMARY KEY", "no column id"),
        ("id INTEGER PRIMARY KEY, site TEXT NOT NULL", "column site"),
    ] {
        let refused = refusal(&format!("CREATE TABLE meter_readings ({id}, {fields})")).await;
        assert!(refused.contains(words), "{refused}");
    }
    let refused = refusal(
        "CREATE TABLE meter_readings (id INTEGER PRIMARY KEY, meter_external_id TEXT, timestamp TEXT, value NUMERIC)",
    )
    .await;
    assert!(refused.contains("data_point"), "{refused}");
    let refused = refusal(&format!(
        "CREATE TABLE meter_readings (id INTEGER PRIMARY KEY, {fields}) WITHOUT ROWID"
    ))
    .await;
    assert!(refused.contains("WITHOUT ROWID"), "{refused}");
    let refused = refusal("CREATE VIEW meters AS SELECT 1 AS id").await;
    assert!(refused.contains("meters is a view"), "{refused}");
    let refused = refusal("CREATE TABLE sync_log (id INTEGER PRIMARY KEY, success BOOLEAN)").await;
    assert!(refused.contains("batch_size"), "{refused}");
}
