//! What another program writes into a damaged database after that was set aside is taken over, as far as it can be read,
//! and no more than once.

use std::fs::File;

use sqlx::{AssertSqlSafe, SqliteConnection};

use super::{super::Strays, site::*};

/// Not so many that the memory which SQLite shares among the connections of a process becomes scarce.
const READINGS: u32 = 5_000;

/// A program that has the pages in its memory that it needs to go on writing.
async fn collector(site: &Site) -> SqliteConnection {
    let mut collector = site.connect().await;
    say(&mut collector, &insert("BEFORE", 1)).await;
    collector
}

async fn say(collector: &mut SqliteConnection, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
        .execute(collector)
        .await
        .expect(sql);
}

async fn later(site: &Site) -> i64 {
    site.count("meter_readings WHERE meter_external_id LIKE 'LATER%'")
        .await
}

#[tokio::test]
async fn whatever_is_damaged_on_the_way_to_them_later_readings_are_taken_over() {
    for spoil in ["", "meter_readings", "sqlite_schema", "sqlite_sequence"] {
        let site = Site::with_readings(READINGS, 1).await;
        let page = match spoil {
            "" => site.leaves_with("active_energy")[7],
            "sqlite_schema" => 1,
            name => site.root(name).await,
        };
        let mut collector = collector(&site).await;
        site.destroy_page(page);
        let salvage = site.salvage().await;
        say(&mut collector, &insert("LATER", 3_000)).await;
        say(
            &mut collector,
            "DELETE FROM meter_readings WHERE id = 5005; \
             UPDATE meter_readings SET is_synchronized = 1 WHERE id = 5006",
        )
        .await;
        let strays = Strays::default();
        strays.exchange(Some(salvage)).await;
        site.look(&strays).await;
        let salvage = site.look(&strays).await;
        assert_eq!(later(&site).await, 2_998, "{spoil} {salvage:?}");
        assert_eq!(salvage.taken_in_later, 2_998, "{spoil} {salvage:?}");
        assert_eq!(salvage.quarantined, 0, "{spoil} {salvage:?}");
        assert!(!salvage.later_is_unreadable, "{spoil} {salvage:?}");
        // Also after a restart nothing comes twice, and what comes then comes.
        say(&mut collector, &insert("LATER", 1)).await;
        let salvage = site.take_in(&salvage).await;
        assert_eq!(later(&site).await, 2_999, "{spoil} {salvage:?}");
    }
}

#[tokio::test]
async fn where_nothing_was_written_since_nothing_is_unreadable() {
    for spoil in ["meter_readings", "sqlite_schema"] {
        let site = Site::with_readings(20_000, 1).await;
        let page = match spoil {
            "sqlite_schema" => 1,
            name => site.root(name).await,
        };
        site.destroy_page(page);
        let salvage = site.salvage().await;
        let salvage = site.take_in(&salvage).await;
        assert!(!salvage.later_is_unreadable, "{spoil} {salvage:?}");
        assert_eq!(site.count("meter_readings").await, 20_000);
    }
}

#[tokio::test]
async fn what_is_destroyed_before_it_is_read_is_told() {
    let site = Site::with_readings(20_000, 1).await;
    let mut collector = collector(&site).await;
    site.destroy_page(site.leaves_with("active_energy")[7]);
    let salvage = site.salvage().await;
    say(&mut collector, &insert("LATER", 3_000)).await;
    drop(collector);
    let database = sqlx::sqlite::SqliteConnectOptions::new().filename(&salvage.set_aside);
    let mut other = sqlx::ConnectOptions::connect(&database)
        .await
        .expect("a connection");
    say(&mut other, "PRAGMA wal_checkpoint(TRUNCATE)").await;
    drop(other);
    let file = std::path::Path::new(&salvage.set_aside);
    let lost = destroy_leaf(file, "LATER-7");
    let salvage = site.take_in(&salvage).await;
    let salvage = site.take_in(&salvage).await;
    assert!(salvage.later_is_unreadable, "{salvage:?}");
    assert_eq!(later(&site).await, 3_000 - lost, "{salvage:?}");
    assert!(lost > 0);
}

/// Destroys a page with rows of this text; returns how many rows it had.
fn destroy_leaf(file: &std::path::Path, text: &str) -> i64 {
    let mut bytes = std::fs::read(file).expect("the file");
    let page = bytes
        .chunks_mut(4096)
        .filter(|page| page[0] == 0x0d)
        .filter(|page| page.windows(text.len()).any(|part| part == text.as_bytes()))
        .nth(3)
        .expect("a page");
    let rows = i64::from(u16::from_be_bytes([page[3], page[4]]));
    page.fill(0xab);
    std::fs::write(file, bytes).expect("the file");
    rows
}

#[tokio::test]
async fn an_emptied_file_stays_unreadable() {
    let site = Site::with_readings(1_000, 1).await;
    site.cut(0);
    let salvage = site.salvage().await;
    let salvage = site.take_in(&salvage).await;
    assert!(salvage.later_is_unreadable, "{salvage:?}");
}

#[tokio::test]
async fn files_that_did_not_change_are_not_read_again() {
    let site = Site::with_readings(20_000, 1).await;
    site.destroy_page(site.root("meter_readings").await);
    let salvage = site.salvage().await;
    let strays = Strays::default();
    strays.exchange(Some(salvage.clone())).await;
    for _ in 0..3 {
        site.look(&strays).await;
    }
    // Nothing is left of it, under a look as before.
    let file = File::options()
        .write(true)
        .open(&salvage.set_aside)
        .expect("the file");
    let metadata = file.metadata().expect("a look");
    std::io::Write::write_all(&mut &file, &vec![0xab; 20 << 12]).expect("written");
    file.set_modified(metadata.modified().expect("a time"))
        .expect("set");
    assert!(!site.look(&strays).await.later_is_unreadable);
    file.set_len(0).expect("cut");
    assert!(site.look(&strays).await.later_is_unreadable);
}

#[tokio::test]
async fn more_than_fit_in_one_look_come_one_after_the_other() {
    let site = Site::with_readings(2_000, 1).await;
    let mut collector = collector(&site).await;
    site.destroy_page(site.root("meter_readings").await);
    let salvage = site.salvage().await;
    say(&mut collector, &insert("LATER", 9_000)).await;
    let strays = Strays::default();
    strays.exchange(Some(salvage)).await;
    for look in 1..20 {
        let salvage = site.look(&strays).await;
        assert_eq!(
            Ok(later(&site).await),
            i64::try_from(salvage.taken_in_later),
            "{look}"
        );
    }
    assert_eq!(later(&site).await, 9_000);
    assert_eq!(
        site.count(
            "(SELECT DISTINCT timestamp FROM meter_readings WHERE meter_external_id LIKE 'LATER%')"
        )
        .await,
        9_000
    );
}

#[tokio::test]
async fn readings_that_the_new_one_does_not_take_are_for_a_person() {
    let site = Site::with_readings(2_000, 1).await;
    let mut collector = collector(&site).await;
    site.destroy_page(site.leaves_with("active_energy")[7]);
    let salvage = site.salvage().await;
    site.run("CREATE UNIQUE INDEX one_each ON meter_readings (timestamp) WHERE meter_external_id LIKE 'LATER%'")
        .await;
    say(&mut collector, &insert("LATER", 10)).await;
    say(&mut collector, &insert("LATER", 12)).await;
    let salvage = site.take_in(&salvage).await;
    assert_eq!((salvage.taken_in_later, salvage.quarantined), (12, 10));
    assert_eq!(later(&site).await, 12);
    assert_eq!(
        site.count(
            "quarantined_readings WHERE reason = 'possibly_stored' AND message LIKE '%do not take%'"
        )
        .await,
        10
    );
}
