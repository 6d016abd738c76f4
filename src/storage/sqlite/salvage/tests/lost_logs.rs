//! Write-ahead logs of which a part is lost: what follows from the rest about readings in it, and what does not.

use std::{collections::BTreeSet, path::PathBuf};

use sqlx::{AssertSqlSafe, Connection, SqliteConnection};

use super::{
    super::{has_damaged_log, has_doubtful_log},
    site::*,
};
use crate::domain::store::Salvage;

const HEADER: usize = 32;
const FRAME: usize = 4096 + 24;
/// What a disk destroys at once in these tests.
const DESTROYED: usize = 5_000;

fn log_path(site: &Site) -> PathBuf {
    site.path().with_extension("db-wal")
}

fn index_path(site: &Site) -> PathBuf {
    site.path().with_extension("db-shm")
}

async fn say(connection: &mut SqliteConnection, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
        .execute(connection)
        .await
        .expect(sql);
}

/// A site with a log that is kept, and the program that has it open.
async fn with_log(readings: u32) -> (Site, SqliteConnection) {
    let site = Site::with_readings(readings, 1).await;
    let mut connection = site.connect().await;
    say(&mut connection, "PRAGMA wal_autocheckpoint = 0").await;
    (site, connection)
}

/// The files as after the sudden end of all programs, but with this log.
async fn crashed(site: &Site, log: &[u8], has_index: bool) -> Site {
    let copy = Site::empty().await;
    std::fs::copy(site.path(), copy.path()).expect("a copy");
    std::fs::write(log_path(&copy), log).expect("a log");
    if has_index {
        std::fs::copy(index_path(site), index_path(&copy)).expect("an index");
    }
    copy
}

/// What no page looks like, each byte another, and no zeros.
fn destroy(log: &mut [u8], from: usize, length: usize) {
    let end = log.len().min(from + length);
    for (byte, noise) in log[from..end].iter_mut().zip((7_u32..).step_by(13)) {
        *byte = (noise.wrapping_mul(2_654_435_761) >> 24) as u8 | 1;
    }
}

async fn ids(site: &Site, question: &str) -> BTreeSet<i64> {
    let mut connection = site.connect().await;
    let ids: Vec<i64> = sqlx::query_scalar(AssertSqlSafe(question.to_owned()))
        .fetch_all(&mut connection)
        .await
        .expect(question);
    connection.close().await.expect("closed");
    ids.into_iter().collect()
}

async fn live(site: &Site) -> BTreeSet<i64> {
    ids(
        site,
        "SELECT id FROM meter_readings WHERE is_synchronized IS NOT 1",
    )
    .await
}

async fn set_aside(site: &Site) -> BTreeSet<i64> {
    ids(site, "SELECT reading_id FROM quarantined_readings").await
}

/// Fails where a reading is lost untold. Returns those that are sent, and those that are not.
async fn outcome(site: &Site, truth: &BTreeSet<i64>) -> (Salvage, BTreeSet<i64>, BTreeSet<i64>) {
    let salvage = site.salvage().await;
    let (live, set_aside) = (live(site).await, set_aside(site).await);
    // What a batch on its way holds is in its body.
    let has_batch = site.count("upload_manifests WHERE key = 'key-2'").await == 1;
    let is_kept = |id: &&i64| {
        let is_in_batch = has_batch && (101..=200).contains(*id);
        live.contains(id) || set_aside.contains(id) || is_in_batch
    };
    let lost = (truth.len() - truth.iter().filter(is_kept).count()) as u64;
    assert!(
        salvage.lost_at_most.is_none_or(|most| most >= lost),
        "{lost} {salvage:?}"
    );
    (salvage, live, set_aside)
}

#[tokio::test]
async fn readings_that_nobody_can_have_claimed_in_what_is_lost_are_sent() {
    let (site, mut connection) = with_log(1_000).await;
    let mut marks = vec![HEADER];
    for _ in 0..5 {
        say(&mut connection, &insert("LOG", 500)).await;
        marks.push(std::fs::read(log_path(&site)).expect("the log").len());
    }
    let truth: BTreeSet<i64> = (1..=3_500).collect();
    let whole = std::fs::read(log_path(&site)).expect("the log");
    for pair in marks.windows(2) {
        for part in [4, 5, 7] {
            let at = pair[0] + (pair[1] - pair[0]) * part / 8;
            let mut bytes = whole.clone();
            destroy(&mut bytes, at, DESTROYED);
            let damaged = crashed(&site, &bytes, false).await;
            if !has_damaged_log(&damaged.path()) {
                continue;
            }
            let (salvage, live, _) = outcome(&damaged, &truth).await;
            // The readings on two pages at most are gone; all others waited, and wait.
            assert!(live.len() >= 3_250, "{at}: {} {salvage:?}", live.len());
            assert_eq!(salvage.quarantined, 0, "{at}: {salvage:?}");
        }
    }
}

/// What the service does when it claims a batch.
fn claim(number: u32, ids: &str) -> String {
    format!(
        "INSERT INTO upload_manifests (key, root, state, attempts, failed_passes, claimed_at, reading_count, reading_ids, body) \
         VALUES ('key-{number}', 'root', 'claimed', 1, 0, '2026-01-01 00:00:00.000', 100, '{ids}', zeroblob(6000))"
    )
}

/// What it does when that was stored by the Client System.
fn settle(number: u32, ids: (i64, i64)) -> String {
    format!(
        "BEGIN; DELETE FROM meter_readings WHERE id BETWEEN {} AND {}; \
         DELETE FROM upload_manifests WHERE key = 'key-{number}'; \
         INSERT INTO sync_log (batch_size, success) VALUES (100, 1); COMMIT",
        ids.0, ids.1
    )
}

/// The claims and the outcomes of a service among what other programs write: of 1,200 readings the first hundred and the
/// hundred from 901 on are uploaded and gone, and the second hundred is on its way.
async fn with_claims() -> (Site, SqliteConnection) {
    let site = Site::with_readings(1_000, 1).await;
    site.run(&claim(0, "901-1000")).await;
    let mut connection = site.connect().await;
    say(&mut connection, "PRAGMA wal_autocheckpoint = 0").await;
    for step in [
        insert("LOG", 50),
        claim(1, "1-100"),
        insert("LOG", 50),
        settle(1, (1, 100)),
        insert("LOG", 50),
        settle(0, (901, 1_000)),
        claim(2, "101-200"),
        insert("LOG", 50),
        insert("LOG", 1),
        insert("LOG", 1),
    ] {
        say(&mut connection, &step).await;
    }
    (site, connection)
}

#[tokio::test]
async fn readings_that_were_uploaded_in_what_is_lost_are_not_sent_again() {
    let (site, _connection) = with_claims().await;
    let truth: BTreeSet<i64> = (101..=900).chain(1_001..=1_202).collect();
    let whole = std::fs::read(log_path(&site)).expect("the log");
    let frames = (whole.len() - HEADER) / FRAME;
    let (mut damages, mut sent) = (0, 0);
    for first in 0..frames {
        for (length, has_index) in [(2, false), (28, false), (29, true)] {
            if first % 3 != length % 3 {
                continue;
            }
            let mut bytes = whole.clone();
            destroy(&mut bytes, HEADER + first * FRAME, length * FRAME);
            let damaged = crashed(&site, &bytes, has_index).await;
            if !has_damaged_log(&damaged.path()) {
                continue;
            }
            let what = format!("{length} frames from {first} on of {frames}, {has_index}");
            let (salvage, live, _) = outcome(&damaged, &truth).await;
            let again: Vec<_> = live.difference(&truth).collect();
            assert!(again.is_empty(), "{what}: {again:?} {salvage:?}");
            let is_on_its_way = damaged.count("upload_manifests WHERE key = 'key-2'").await == 1;
            assert!(
                is_on_its_way || salvage.batches_lost_at_most != Some(0),
                "{what}: {salvage:?}"
            );
            (damages, sent) = (damages + 1, sent + live.len());
        }
    }
    assert!(damages > 40 && sent > 30_000, "{damages} {sent}");
}

/// From the middle of the first commit on nothing is left.
async fn without_end() -> (Site, SqliteConnection, Vec<u8>) {
    let (site, mut connection) = with_log(1_000).await;
    say(&mut connection, &insert("LOG", 500)).await;
    let first = std::fs::read(log_path(&site)).expect("the log").len();
    for _ in 0..4 {
        say(&mut connection, &insert("LOG", 500)).await;
    }
    let mut bytes = std::fs::read(log_path(&site)).expect("the log");
    let length = bytes.len();
    destroy(&mut bytes, first / 2, length);
    (site, connection, bytes)
}

#[tokio::test]
async fn what_the_index_of_a_lost_log_knows_of_is_told_as_lost() {
    let (site, _connection, bytes) = without_end().await;
    let truth: BTreeSet<i64> = (1..=3_500).collect();
    for bytes in [bytes.as_slice(), &bytes[..20 * FRAME], &bytes[..HEADER]] {
        let damaged = crashed(&site, bytes, true).await;
        assert!(has_damaged_log(&damaged.path()));
        let (salvage, live, _) = outcome(&damaged, &truth).await;
        assert_ne!(salvage.lost_at_most, Some(0), "{salvage:?}");
        // No page with batches is among the lost ones.
        assert!(live.is_superset(&(1..=1_000).collect()), "{salvage:?}");
        assert_eq!(salvage.quarantined, 0, "{salvage:?}");
        // No id is given again.
        damaged.run(&insert("NEW", 1)).await;
        let given = damaged.integer("SELECT max(id) FROM meter_readings").await;
        assert!(given > 3_500, "{given} {salvage:?}");
    }
}

#[tokio::test]
async fn a_log_of_which_nothing_makes_sense_leaves_no_bound() {
    let (site, _connection, bytes) = without_end().await;
    let truth: BTreeSet<i64> = (1..=3_500).collect();
    // SQLite takes it to be torn, and nothing contradicts that.
    let damaged = crashed(&site, &bytes, false).await;
    assert!(!has_damaged_log(&damaged.path()));
    assert!(has_doubtful_log(&damaged.path()));
    let (salvage, live, _) = outcome(&damaged, &truth).await;
    assert_eq!(salvage.lost_at_most, None, "{salvage:?}");
    assert_eq!(salvage.batches_lost_at_most, None, "{salvage:?}");
    assert_eq!(live.len(), 1_000);
    // Neither is there a bound where not even the log is left.
    let damaged = crashed(&site, &[], true).await;
    assert!(!has_damaged_log(&damaged.path()));
    let (salvage, _, _) = outcome(&damaged, &truth).await;
    assert_eq!(salvage.lost_at_most, None, "{salvage:?}");
}

#[tokio::test]
async fn commits_that_show_by_their_remains_are_told_as_lost() {
    let (site, _connection, _) = without_end().await;
    let truth: BTreeSet<i64> = (1..=3_500).collect();
    let mut bytes = std::fs::read(log_path(&site)).expect("the log");
    // All that frames say of themselves is left, and of what they held nothing.
    for frame in (10..(bytes.len() - HEADER) / FRAME).rev() {
        destroy(&mut bytes, HEADER + frame * FRAME + 24, 4096);
    }
    let damaged = crashed(&site, &bytes, false).await;
    assert!(has_damaged_log(&damaged.path()));
    let (salvage, live, _) = outcome(&damaged, &truth).await;
    assert_ne!(salvage.lost_at_most, Some(0), "{salvage:?}");
    assert!(live.is_superset(&(1..=1_000).collect()), "{salvage:?}");
}

#[tokio::test]
async fn a_torn_end_costs_no_bound_where_the_index_knows_of_no_more() {
    let (site, _connection) = with_log(1_000).await;
    let mut bytes = std::fs::read(log_path(&site)).unwrap_or_default();
    assert_eq!(bytes.len(), 0);
    let (site, mut connection) = with_log(1_000).await;
    say(&mut connection, &insert("LOG", 500)).await;
    bytes = std::fs::read(log_path(&site)).expect("the log");
    let length = bytes.len();
    bytes.resize(length + 3 * FRAME, 0);
    destroy(&mut bytes, length, 3 * FRAME);
    let torn = crashed(&site, &bytes, true).await;
    assert!(!has_damaged_log(&torn.path()));
    assert!(!has_doubtful_log(&torn.path()));
    torn.destroy_page(torn.root("sync_log").await);
    std::fs::write(log_path(&torn), &bytes).expect("a log");
    std::fs::copy(index_path(&site), index_path(&torn)).expect("an index");
    let (salvage, _, _) = outcome(&torn, &(1..=1_500).collect()).await;
    assert_eq!(salvage.lost_at_most, Some(0), "{salvage:?}");
}

#[tokio::test]
async fn what_was_copied_into_the_database_is_not_lost_with_its_log() {
    let (site, mut connection) = with_log(1_000).await;
    for _ in 0..3 {
        say(&mut connection, &insert("LOG", 500)).await;
    }
    say(&mut connection, "PRAGMA wal_checkpoint(PASSIVE)").await;
    let mut bytes = std::fs::read(log_path(&site)).expect("the log");
    let length = bytes.len();
    destroy(&mut bytes, length / 3, length);
    let damaged = crashed(&site, &bytes, true).await;
    let (salvage, live, _) = outcome(&damaged, &(1..=2_500).collect()).await;
    assert_eq!(salvage.lost_at_most, Some(0), "{salvage:?}");
    assert_eq!(live.len(), 2_500, "{salvage:?}");
}
