//! Crashes at every stage of every chunk, and whoever else is at work meanwhile.

use std::{collections::HashSet, panic::AssertUnwindSafe};

use futures_util::FutureExt;
use meterit_sync::domain::import::ImportStage;

use super::queue::*;
use crate::{helpers::postgres, storage::site::*};

#[tokio::test]
async fn a_crash_at_every_stage_of_every_chunk_loses_and_doubles_nothing() {
    let site = Move::filled().await;
    let expected = site.fitting().await;
    let mut crashed = HashSet::new();
    let outcome = loop {
        let import = site.import_watched(|at| {
            // What is committed when a run ends is finished by the next one before it goes on, so that only the chunks
            // that are spared here come to their last stage.
            let is_spared = at.stage == ImportStage::Committed && at.step % 2 == 0;
            let is_new = !is_spared && crashed.insert((at.step, at.stage));
            assert!(!is_new, "planned crash at {at:?}");
        });
        match AssertUnwindSafe(import).catch_unwind().await {
            Ok(outcome) => break outcome.unwrap(),
            Err(_) => continue,
        }
    };
    let stages: HashSet<ImportStage> = crashed.iter().map(|(_, stage)| *stage).collect();
    assert_eq!(stages.len(), 4);
    assert!(crashed.len() > 50, "{}", crashed.len());
    assert_eq!(site.arrived().await, expected);
    assert_eq!(site.left().await, "0");
    assert_eq!(outcome.in_all.readings(), GOOD + BAD);
    let set_aside = "SELECT count(*) FROM quarantined_readings WHERE message LIKE 'not moved%'";
    assert_eq!(site.new.ask(set_aside).await.unwrap(), BAD.to_string());
}

#[tokio::test]
async fn readings_that_come_in_meanwhile_are_moved_as_well() {
    let site = Move::filled().await;
    let path = site.old.file();
    let mut inserted = 0;
    let outcome = site
        .import_watched(|at| {
            if at.stage == ImportStage::Committed && at.step % 2 == 0 && inserted < 20 {
                inserted += 1;
                postgres::blocking::elsewhere(insert(path.clone(), inserted)).unwrap();
            }
        })
        .await
        .unwrap();
    assert!(inserted > 5);
    let late = "SELECT count(*) || ' ' || count(DISTINCT value) FROM meter_readings WHERE data_point = 'late'";
    assert_eq!(
        site.new.ask(late).await.unwrap(),
        format!("{inserted} {inserted}")
    );
    assert_eq!(site.left().await, "0");
    assert_eq!(outcome.by_this_run.readings(), GOOD + BAD + inserted);
}

async fn insert(path: std::path::PathBuf, number: u64) -> Result<(), sqlx::Error> {
    use sqlx::{ConnectOptions, Connection, sqlite::SqliteConnectOptions};
    let mut connection = SqliteConnectOptions::new().filename(path).connect().await?;
    sqlx::query("INSERT INTO meter_readings (meter_external_id, timestamp, data_point, value) VALUES ('LATE', '2026-01-01 00:00:00', 'late', ?1)")
        .bind(i64::try_from(number).unwrap())
        .execute(&mut connection)
        .await?;
    connection.close().await
}

#[tokio::test]
async fn a_server_that_ends_the_connection_at_any_stage_is_survived() {
    let site = Move::filled().await;
    let expected = site.fitting().await;
    let kill = format!(
        "SELECT count(pg_terminate_backend(pid, 10000)) FROM pg_stat_activity \
         WHERE datname = '{}' AND pid <> pg_backend_pid()",
        site.new.url().rsplit('/').next().unwrap()
    );
    let mut seen = HashSet::new();
    let mut failures = 0;
    loop {
        let imported = site
            .import_watched(|at| {
                if at.step % 3 == 0 && seen.insert((at.step, at.stage)) {
                    postgres::blocking::ask(&postgres::shared_server(), &kill).unwrap();
                }
            })
            .await;
        match imported {
            Ok(_) => break,
            Err(error) => {
                assert!(!error.needs_a_person(), "{error}");
                failures += 1;
            }
        }
    }
    assert!(failures > 5, "{failures}");
    assert_eq!(site.arrived().await, expected);
    assert_eq!(site.left().await, "0");
}
