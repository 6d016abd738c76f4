//! Write-ahead logs: one that is damaged with commits behind it loses no reading untold, and one that is in order is never
//! taken for damaged.

use std::{collections::BTreeMap, path::PathBuf};

use sqlx::{AssertSqlSafe, Connection, Row, SqliteConnection};

use super::{super::has_damaged_log, site::*};

const HEADER: usize = 32;
const FRAME: usize = 4096 + 24;

fn log_path(site: &Site) -> PathBuf {
    site.path().with_extension("db-wal")
}

fn log(site: &Site) -> Vec<u8> {
    std::fs::read(log_path(site)).expect("the log")
}

async fn say(connection: &mut SqliteConnection, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
        .execute(connection)
        .await
        .expect(sql);
}

/// The files as they lie there while a program has them open: as after its sudden end, but with this log.
async fn crashed(site: &Site, log: &[u8]) -> Site {
    let copy = Site::empty().await;
    std::fs::copy(site.path(), copy.path()).expect("a copy");
    std::fs::write(log_path(&copy), log).expect("a log");
    copy
}

/// A site with a log of many commits, and the program that has it open.
async fn busy(rounds: u32) -> (Site, SqliteConnection) {
    let site = Site::with_readings(3_000, 1).await;
    let mut connection = site.connect().await;
    say(&mut connection, "PRAGMA wal_autocheckpoint = 0").await;
    for round in 0..rounds {
        say(&mut connection, &insert(&format!("LOG{round}"), 70)).await;
        say(
            &mut connection,
            &format!(
                "DELETE FROM meter_readings WHERE id > {0} AND id <= {0} + 60",
                round * 60
            ),
        )
        .await;
        say(
            &mut connection,
            "INSERT INTO sync_log (batch_size, success) VALUES (60, 1)",
        )
        .await;
    }
    (site, connection)
}

#[tokio::test]
async fn a_log_that_is_in_order_is_not_damaged() {
    let (site, mut connection) = busy(3).await;
    assert!(!has_damaged_log(&site.path()));
    let old = log(&site);
    // Frames of transactions that came to nothing, under those of one that did not.
    say(
        &mut connection,
        "PRAGMA cache_size = 5; BEGIN; UPDATE meter_readings SET unit = 'another'; ROLLBACK",
    )
    .await;
    assert!(log(&site).len() > old.len() + 50 * FRAME);
    assert!(!has_damaged_log(&site.path()));
    say(&mut connection, &insert("AFTER", 2)).await;
    assert!(!has_damaged_log(&site.path()));
    let crashed_then = crashed(&site, &log(&site)).await;
    assert!(!has_damaged_log(&crashed_then.path()));
    assert_eq!(
        crashed_then
            .count("meter_readings WHERE meter_external_id LIKE 'AFTER%'")
            .await,
        2
    );
}

#[tokio::test]
async fn a_log_that_was_cut_short_at_any_moment_is_not_damaged() {
    let (site, mut connection) = busy(2).await;
    let old = log(&site);
    let elsewhere = Site::empty().await;
    let is_damaged = |log: &[u8]| {
        std::fs::write(log_path(&elsewhere), log).expect("a log");
        has_damaged_log(&elsewhere.path())
    };
    let cuts = |length: usize| (HEADER..=length).step_by(1_030).chain([length]);
    for cut in cuts(old.len()) {
        assert!(!is_damaged(&old[..cut]), "cut off at {cut}");
        let mut zeroed = old[..cut].to_vec();
        zeroed.resize(old.len() + 3 * FRAME, 0);
        assert!(!is_damaged(&zeroed), "nothing from {cut} on");
    }
    // What was there before shows behind what has been written anew.
    say(&mut connection, "PRAGMA wal_checkpoint(RESTART)").await;
    say(&mut connection, &insert("ANEW", 90)).await;
    say(&mut connection, &insert("ANEW", 500)).await;
    let new = log(&site);
    assert_eq!(new.len(), old.len());
    assert_ne!(new[..HEADER], old[..HEADER]);
    for cut in cuts(new.len()) {
        let mixed = [&new[..cut], &old[cut..]].concat();
        assert!(!is_damaged(&mixed), "written anew up to {cut}");
    }
    // The last transaction is torn.
    let last = old.len() - FRAME;
    for at in [last + 3, last + 10, last + 18, last + 24, last + 4_000] {
        let mut torn = old.clone();
        torn[at..at + 6].fill(0xab);
        assert!(!is_damaged(&torn) || at == last + 3, "torn at {at}");
    }
}

#[tokio::test]
async fn frames_of_another_size_behind_the_end_are_no_damage() {
    let (site, _connection) = busy(2).await;
    let old = log(&site);
    let small = tempfile::tempdir().expect("a folder");
    let path = small.path().join("sync.db");
    let mut other = sqlx::ConnectOptions::connect(
        &sqlx::sqlite::SqliteConnectOptions::new()
            .filename(&path)
            .create_if_missing(true)
            .page_size(1024)
            .journal_mode(sqlx::sqlite::SqliteJournalMode::Wal),
    )
    .await
    .expect("a database");
    say(&mut other, "CREATE TABLE t (x); INSERT INTO t VALUES (1)").await;
    let log = path.with_extension("db-wal");
    let mut bytes = std::fs::read(&log).expect("the log");
    bytes.extend_from_slice(&old[bytes.len()..]);
    other.close().await.expect("closed");
    std::fs::write(&log, bytes).expect("a log");
    assert!(!has_damaged_log(&path));
}

/// Every reading, by its id: its meter.
async fn readings(connection: &mut SqliteConnection, question: &str) -> BTreeMap<i64, String> {
    let rows = sqlx::query(AssertSqlSafe(question.to_owned()))
        .fetch_all(connection)
        .await
        .expect("readings");
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

const LIVE: &str = "SELECT id, meter_external_id || timestamp || value FROM meter_readings";
const SET_ASIDE: &str =
    "SELECT reading_id, meter_external_id || timestamp || value FROM quarantined_readings";

/// What became of the readings that should be there; fails where one is lost untold, or comes back.
async fn assert_nothing_untold(damaged: &Site, truth: &BTreeMap<i64, String>, what: &str) -> u64 {
    let salvage = damaged.salvage().await;
    let mut connection = damaged.connect().await;
    let live = readings(&mut connection, LIVE).await;
    let set_aside = readings(&mut connection, SET_ASIDE).await;
    connection.close().await.expect("closed");
    for (id, reading) in &live {
        assert_eq!(
            truth.get(id),
            Some(reading),
            "{what}: came back {salvage:?}"
        );
    }
    let lost = truth
        .keys()
        .filter(|id| !live.contains_key(id) && !set_aside.contains_key(id));
    let lost = lost.count() as u64;
    assert!(
        salvage.lost_at_most.is_none_or(|most| lost <= most),
        "{what}: {lost} {salvage:?}"
    );
    // No more than a page or two can have held.
    assert!(
        salvage
            .lost_at_most
            .is_some_and(|most| most <= 6 * PAGE / 22),
        "{what}: {salvage:?}"
    );
    assert!(
        salvage.quarantined == set_aside.len() as u64,
        "{what}: {salvage:?}"
    );
    lost + salvage.quarantined
}

#[tokio::test]
async fn whichever_frame_is_damaged_no_reading_is_lost_untold_and_none_comes_back() {
    let (site, mut connection) = busy(4).await;
    let truth = readings(&mut connection, LIVE).await;
    let whole = log(&site);
    let frames = (whole.len() - HEADER) / FRAME;
    let kinds: [(&str, std::ops::Range<usize>); 4] = [
        ("contents", 2_000..2_100),
        ("number", 2..3),
        ("salt", 8..12),
        ("all", 0..FRAME),
    ];
    for frame in 0..frames - 12 {
        let (kind, range) = kinds[frame % 4].clone();
        let mut bytes = whole.clone();
        let at = HEADER + frame * FRAME;
        for byte in &mut bytes[at + range.start..at + range.end] {
            *byte ^= 0x5a;
        }
        let damaged = crashed(&site, &bytes).await;
        let what = format!("{kind} of frame {frame} of {frames}");
        assert!(has_damaged_log(&damaged.path()), "{what}");
        let affected = assert_nothing_untold(&damaged, &truth, &what).await;
        assert!(kind != "number" || affected == 0, "{what}: {affected}");
        assert!(affected <= 900, "{what}: {affected}");
    }
}

#[tokio::test]
async fn a_block_of_the_disk_costs_no_reading_untold() {
    let (site, mut connection) = busy(6).await;
    let truth = readings(&mut connection, LIVE).await;
    let whole = log(&site);
    let index = std::fs::read(site.path().with_extension("db-shm")).expect("the index");
    for block in (0..whole.len() / 4096 - 14).step_by(5) {
        for (filling, has_index) in [(0, true), (0xab, false)] {
            let mut bytes = whole.clone();
            bytes[block * 4096..(block + 1) * 4096].fill(filling);
            let damaged = crashed(&site, &bytes).await;
            if has_index {
                std::fs::write(damaged.path().with_extension("db-shm"), &index).expect("an index");
            }
            let what = format!("block {block} of {filling}");
            assert!(has_damaged_log(&damaged.path()), "{what}");
            let affected = assert_nothing_untold(&damaged, &truth, &what).await;
            // Where the index of the log names the pages, no others are in doubt.
            assert!(!has_index || affected < 900, "{what}: {affected}");
        }
    }
}

#[tokio::test]
async fn the_header_of_the_log_costs_no_reading() {
    let (site, mut connection) = busy(3).await;
    let truth = readings(&mut connection, LIVE).await;
    for range in [0..4, 8..12, 13..14, 0..20, 24..32, 0..32] {
        let mut bytes = log(&site);
        let is_sum = range.end == 32;
        bytes[range.clone()].fill(0xab);
        let damaged = crashed(&site, &bytes).await;
        assert!(has_damaged_log(&damaged.path()), "{range:?}");
        let affected = assert_nothing_untold(&damaged, &truth, &format!("{range:?}")).await;
        assert!(is_sum || affected == 0, "{range:?}: {affected}");
    }
}
