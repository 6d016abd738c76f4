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
    count_of(site, "LATER").await
}

async fn count_of(site: &Site, meter: &str) -> i64 {
    site.count(&format!(
        "meter_readings WHERE meter_external_id LIKE '{meter}%'"
    ))
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
        strays.exchange(vec![salvage]).await;
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
    strays.exchange(vec![salvage.clone()]).await;
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
    strays.exchange(vec![salvage]).await;
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

/// Damaged twice, each time under a program that goes on writing.
async fn damaged_twice() -> (Site, [SqliteConnection; 2]) {
    let site = Site::with_readings(READINGS, 1).await;
    let first = collector(&site).await;
    site.destroy_page(site.leaves_with("active_energy")[7]);
    let salvage = site.salvage().await;
    assert!(salvage.lost_at_most > Some(0), "{salvage:?}");
    let second = collector(&site).await;
    site.destroy_page(site.leaves_with("active_energy")[8]);
    (site, [first, second])
}

#[tokio::test]
async fn a_second_damage_makes_nobody_forget_the_first() {
    let (site, [mut first, mut second]) = damaged_twice().await;
    let before = site.remembered().await;
    site.salvage().await;
    let salvages = site.remembered().await;
    assert_eq!(salvages[1..], before, "{salvages:?}");
    assert_ne!(salvages[0].set_aside, salvages[1].set_aside);
    let strays = Strays::default();
    strays.exchange(salvages).await;
    say(&mut first, &insert("FIRST", 3)).await;
    say(&mut second, &insert("SECOND", 4)).await;
    site.look(&strays).await;
    assert_eq!(count_of(&site, "FIRST").await, 3);
    assert_eq!(count_of(&site, "SECOND").await, 4);
    let salvages = site.remembered().await;
    let taken: Vec<u64> = salvages.iter().map(|one| one.taken_in_later).collect();
    assert_eq!(taken, [4, 3]);
    // After a third one, and a restart, nothing comes twice.
    site.destroy_page(site.leaves_with("active_energy")[9]);
    site.salvage().await;
    let strays = Strays::default();
    strays.exchange(site.remembered().await).await;
    site.look(&strays).await;
    assert_eq!(count_of(&site, "FIRST").await, 3);
    assert_eq!(count_of(&site, "SECOND").await, 4);
    let salvages = site.remembered().await;
    assert_eq!(salvages.len(), 3);
    // Whoever removes one has seen it.
    std::fs::remove_file(&salvages[1].set_aside).expect("removed");
    let left = site.remembered().await;
    assert_eq!(left, [salvages[0].clone(), salvages[2].clone()]);
}

#[tokio::test]
async fn what_an_earlier_version_remembered_of_one_is_carried_on() {
    let (site, _collectors) = damaged_twice().await;
    let before = site.remembered().await;
    let pool = crate::storage::sqlite::options::writer_pool(&site.path())
        .await
        .expect("a pool");
    sqlx::query("DELETE FROM service_facts WHERE name = 'earlier_salvages'")
        .execute(&pool)
        .await
        .expect("an earlier version");
    pool.close().await;
    site.salvage().await;
    let salvages = site.remembered().await;
    assert_eq!(salvages[1..], before);
}

#[tokio::test]
async fn where_what_was_remembered_is_destroyed_that_is_told() {
    let (site, collectors) = damaged_twice().await;
    let before = site.remembered().await;
    for collector in collectors {
        sqlx::Connection::close(collector).await.expect("closed");
    }
    site.destroy_page(site.root("service_facts").await);
    let other = Site::empty().await;
    for path in [site.path(), before[0].set_aside.clone().into()] {
        let name = path.file_name().expect("a name");
        std::fs::copy(&path, other.path().with_file_name(name)).expect("a copy");
    }
    let salvage = other.salvage().await;
    let told = salvage.also_lost.join(" ");
    assert!(told.contains("damaged-1, set aside before"), "{salvage:?}");
    // While the service runs, it knows.
    super::super::replace(&site.path(), &before, &super::super::open_gate)
        .await
        .expect("a salvage");
    let salvages = site.remembered().await;
    assert_eq!(salvages[1..], before, "{salvages:?}");
    assert!(!salvages[0].also_lost.join(" ").contains("set aside before"));
}
