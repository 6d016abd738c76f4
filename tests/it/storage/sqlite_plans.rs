//! Proof that the questions of every second and every batch never walk over the whole table.

use sqlx::Row;

use super::site::*;

/// The steps of the plan for a query of the service, parameters left open.
async fn plan(site: &SqliteSite, sql: &str) -> Vec<String> {
    let mut connection = site.connect().await;
    let rows = sqlx::query(sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}")))
        .fetch_all(&mut connection)
        .await
        .expect(sql);
    rows.iter().map(|row| row.get("detail")).collect()
}

macro_rules! query {
    ($name:literal) => {
        include_str!(concat!(
            "../../../src/storage/sqlite/queries/",
            $name,
            ".sql"
        ))
    };
}

#[tokio::test]
async fn the_queue_is_never_scanned() {
    let site = SqliteSite::new();
    let _database = site.open().await;
    let claim = plan(&site, query!("claim")).await;
    assert_eq!(
        claim,
        ["SEARCH meter_readings USING INDEX meter_readings_pending (id>?)"]
    );
    // Of which a bounded stretch is read.
    let ahead = plan(&site, query!("read_ahead")).await;
    let along = "SEARCH meter_readings USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)";
    assert_eq!(ahead, [along]);
    let count = plan(&site, query!("count_pending")).await;
    assert_eq!(
        count,
        ["SEARCH meter_readings USING COVERING INDEX meter_readings_pending (id>? AND id<?)"]
    );
    let known = plan(&site, query!("pending_from")).await;
    assert_eq!(
        known,
        ["SEARCH meter_readings USING COVERING INDEX meter_readings_pending (id>?)"]
    );
    for step in plan(&site, query!("queue_bounds")).await {
        // The oldest pending reading is among the first entries of the index of pending ones: a scan of a hundred steps.
        let is_first_entry = step == "SCAN meter_readings USING INDEX meter_readings_pending";
        assert!(
            is_first_entry || !step.starts_with("SCAN meter_readings"),
            "{step}"
        );
    }
}

#[tokio::test]
async fn settling_and_cleaning_go_straight_to_their_rows() {
    let site = SqliteSite::new();
    let _database = site.open().await;
    for sql in [
        query!("delete_reading_run"),
        query!("delete_reading_list"),
        query!("mark_reading_run"),
        query!("mark_reading_list"),
        query!("retry_reading_run"),
        query!("retry_reading_list"),
        query!("readings_for_quarantine"),
        query!("delete_synchronized_before"),
        query!("delete_sync_log_before"),
        query!("sync_stats"),
        query!("batch"),
    ] {
        for step in plan(&site, sql).await {
            let is_list = step.starts_with("SCAN json_each");
            assert!(is_list || !step.starts_with("SCAN"), "{step} in {sql}");
        }
    }
}

#[tokio::test]
async fn pending_readings_cost_one_index_and_kept_ones_another() {
    let site = SqliteSite::new();
    let _database = site.open().await;
    let indexes = "SELECT group_concat(name, ' ') FROM pragma_index_list('meter_readings')";
    assert_eq!(
        site.ask(indexes).await.as_deref(),
        Some("meter_readings_synchronized meter_readings_pending")
    );
}
