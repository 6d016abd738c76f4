//! A salvage that is interrupted at any step is gone on with, and never takes away what other programs wrote meanwhile.

use std::{
    io,
    sync::atomic::{AtomicUsize, Ordering},
};

use super::{
    super::{Gate, is_interrupted, set_aside::LINKING},
    site::*,
};

/// Interrupts the salvage at the passing with this number, counted from 0.
fn interrupted_at(step: usize) -> Box<Gate> {
    let passed = AtomicUsize::new(0);
    Box::new(move |name| {
        if passed.fetch_add(1, Ordering::Relaxed) == step {
            return Err(io::Error::other(format!("interrupted {name}")));
        }
        Ok(())
    })
}

async fn damaged() -> Site {
    let site = Site::with_readings(9_000, 1).await;
    site.destroy_page(site.leaves_with("active_energy")[10]);
    site
}

#[tokio::test]
async fn whatever_step_is_interrupted_nothing_is_lost_or_doubled() {
    interrupt_everywhere(true).await;
}

#[tokio::test]
async fn nor_is_it_where_files_cannot_have_second_names() {
    interrupt_everywhere(false).await;
}

async fn interrupt_everywhere(links: bool) {
    for step in 0..100 {
        let site = damaged().await;
        let gate = interrupted_at(step);
        let without_links = move |name: &'static str| match name {
            LINKING if !links => Err(io::ErrorKind::Unsupported.into()),
            _ => gate(name),
        };
        let interrupted = site.salvage_through(&without_links).await;
        if interrupted.is_ok() {
            assert!(step >= 10, "{step}");
            return;
        }
        assert!(is_interrupted(&site.path()).expect("an answer"), "{step}");
        // Another program finds a database at any time, and writes into it; but for a moment without second names.
        let is_there = site.path().exists();
        assert!(is_there || !links, "{step}");
        if is_there {
            site.run(&insert("MEANWHILE", 5)).await;
        }
        let salvage = site.salvage().await;
        let salvage = site.take_in(&salvage).await;
        assert!(!is_interrupted(&site.path()).expect("an answer"), "{step}");
        let others = site
            .count("meter_readings WHERE meter_external_id LIKE 'MEANWHILE%'")
            .await;
        assert_eq!(others, if is_there { 5 } else { 0 }, "{step} {salvage:?}");
        let old = site
            .count("meter_readings WHERE meter_external_id LIKE 'METER%'")
            .await;
        let lost = i64::try_from(salvage.lost_at_most.expect("a bound")).expect("a count");
        assert_eq!(old + lost, 9_000, "{step} {salvage:?}");
        assert_eq!(salvage.quarantined, 0, "{step} {salvage:?}");
        let distinct = site
            .count("(SELECT DISTINCT meter_external_id, timestamp FROM meter_readings)")
            .await;
        assert_eq!(distinct, old + others, "{step}");
    }
    panic!("it never came to its end");
}

#[tokio::test]
async fn what_was_uploaded_before_the_intent_was_removed_does_not_come_back() {
    let site = damaged().await;
    let last = |name: &'static str| match name {
        "before it is over" => Err(io::Error::other("interrupted")),
        _ => Ok(()),
    };
    site.salvage_through(&last)
        .await
        .expect_err("an interruption");
    site.run("DELETE FROM meter_readings WHERE id <= 4000")
        .await;
    site.run(&insert("LATER", 7)).await;
    let before = site.count("meter_readings").await;
    for _ in 0..2 {
        std::fs::write(
            site.path().with_extension("db.salvage"),
            site.path()
                .with_extension("db.damaged-1")
                .display()
                .to_string(),
        )
        .expect("an intent");
        site.salvage().await;
        assert_eq!(site.count("meter_readings").await, before);
    }
}

#[tokio::test]
async fn a_program_that_opens_the_new_one_at_once_is_not_disturbed() {
    let site = damaged().await;
    // Interrupted after the exchange, with some rows written.
    let steps = AtomicUsize::new(0);
    let midway = move |name: &'static str| {
        let is_second =
            name == "before some rows are written" && steps.fetch_add(1, Ordering::Relaxed) == 1;
        if is_second {
            Err(io::Error::other("interrupted"))
        } else {
            Ok(())
        }
    };
    site.salvage_through(&midway)
        .await
        .expect_err("an interruption");
    let mut collector = site.connect().await;
    sqlx::raw_sql(sqlx::AssertSqlSafe(insert("COLLECTOR", 20)))
        .execute(&mut collector)
        .await
        .expect("its readings");
    let salvage = site.salvage().await;
    sqlx::raw_sql(sqlx::AssertSqlSafe(insert("COLLECTOR-2", 20)))
        .execute(&mut collector)
        .await
        .expect("its next readings");
    assert_eq!(
        site.count("meter_readings WHERE meter_external_id LIKE 'COLLECTOR%'")
            .await,
        40,
        "{salvage:?}"
    );
    // They did not get ids that the damaged one had given.
    assert_eq!(
        site.count("meter_readings WHERE meter_external_id LIKE 'COLLECTOR%' AND id <= 9000")
            .await,
        0
    );
}

#[cfg(unix)]
#[tokio::test]
async fn whoever_may_write_the_damaged_one_may_write_the_new_one() {
    use std::os::unix::fs::PermissionsExt;
    let site = damaged().await;
    let mode = || {
        std::fs::metadata(site.path())
            .expect("the file")
            .permissions()
            .mode()
            & 0o777
    };
    std::fs::set_permissions(site.path(), std::fs::Permissions::from_mode(0o660)).expect("rights");
    site.salvage().await;
    assert_eq!(mode(), 0o660);
}

#[tokio::test]
async fn an_earlier_salvage_is_not_taken_for_this_one() {
    let site = damaged().await;
    site.salvage().await;
    for suffix in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(site.path().with_extension(format!("db.damaged-1{suffix}")));
    }
    site.destroy_page(site.root("meter_readings").await);
    let nearly = |name: &'static str| match name {
        "before it is written down" => Err(io::Error::other("interrupted")),
        _ => Ok(()),
    };
    let left = 9_000 - 42;
    site.salvage_through(&nearly)
        .await
        .expect_err("an interruption");
    site.run("DELETE FROM meter_readings WHERE id > 5000").await;
    let salvage = site.salvage().await;
    assert!(salvage.readings >= left - 10, "{salvage:?}");
    assert_eq!(
        site.count("meter_readings").await,
        i64::try_from(salvage.readings).expect("a count")
    );
}
