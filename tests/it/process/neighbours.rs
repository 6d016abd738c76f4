//! Other programs on the same Sync Database: another service, and the Meter Collection Service.

use std::time::Duration;

use meterit_sync::clock::Clock;
use sqlx::{ConnectOptions, SqliteConnection, sqlite::SqliteConnectOptions};

use super::{service::Service, site::Site};

const BACKLOG: u32 = 100_000;
const INSERTED: u32 = 8_000;
/// Readings in one insert; a hundred inserts make a thousand readings.
const TOGETHER: u32 = 10;
const BETWEEN: Duration = Duration::from_millis(10);

#[test]
fn a_second_service_on_the_same_queue_is_turned_away_and_the_first_goes_on() {
    let site = Site::new();
    let first = site.start();
    first.wait_until_connected();

    let (status, said) = Service::spawn(site.command()).wait();
    let said = said.join("\n");
    assert_eq!(status.code(), Some(2), "{said}");
    assert!(said.contains("sync.db"), "{said}");
    assert!(said.contains("meterit-sync: "), "{said}");
    assert!(said.contains("another"), "{said}");

    site.insert(500);
    first
        .post("/api/v1/sync/trigger?wait=true", None)
        .expect_status(200);
    site.assert_all_delivered_once(500);
    first.stop();
}

#[test]
fn a_thousand_inserts_a_second_never_wait_longer_than_a_second() {
    let site = Site::new();
    site.insert(BACKLOG);
    let service = site.start();
    service.wait_until_connected();

    let (longest, took) = tokio::runtime::Runtime::new()
        .unwrap()
        .block_on(insert_steadily(&site));
    println!("longest wait {longest:?}, {INSERTED} readings in {took:?}");
    let received = site.client_system.delivered().1;
    println!("{received} readings were delivered meanwhile");

    assert!(
        received > u64::from(INSERTED),
        "the drain went on meanwhile"
    );
    assert!(longest < Duration::from_secs(1), "{longest:?}");
    assert!(
        took < Duration::from_secs(12),
        "the inserts kept their pace: {took:?}"
    );
    let all = u64::from(BACKLOG + INSERTED);
    // Joins the drain, or fetches what came after it.
    service
        .post("/api/v1/sync/trigger?wait=true", None)
        .expect_status(200);
    site.assert_all_delivered_once(all);
    service.stop();
}

/// Inserts as a stranger does; the longest wait for one insert, and how long all of them took.
async fn insert_steadily(site: &Site) -> (Duration, Duration) {
    let mut connection = SqliteConnectOptions::new()
        .filename(site.database())
        .busy_timeout(Duration::from_secs(10))
        .connect()
        .await
        .unwrap();
    let clock = Clock::system();
    let mut longest = Duration::ZERO;
    for insert in 0..INSERTED / TOGETHER {
        let due = BETWEEN * insert;
        clock.sleep(due.saturating_sub(clock.elapsed())).await;
        let begun = clock.elapsed();
        insert_one(&mut connection, insert).await;
        longest = longest.max(clock.elapsed() - begun);
    }
    (longest, clock.elapsed())
}

async fn insert_one(connection: &mut SqliteConnection, insert: u32) {
    let rows: Vec<String> = (0..TOGETHER)
        .map(|row| {
            format!("('STRANGER-{row}', datetime('2026-02-01', '+{insert} seconds'), 'power', 1.5)")
        })
        .collect();
    let statement = format!(
        "INSERT INTO meter_readings (meter_external_id, timestamp, data_point, value) VALUES {}",
        rows.join(", ")
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(statement))
        .execute(connection)
        .await
        .expect("nobody keeps us waiting for ten seconds");
}
