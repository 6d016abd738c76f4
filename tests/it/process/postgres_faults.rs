//! A PostgreSQL server that restarts, crashes, ends connections, has none left, or is not there yet.

use std::thread::JoinHandle;

use meterit_sync::demo::client_system::{FaultAction, FaultPath, FaultRule};

use super::{
    crashes::assert_no_reading_under_two_keys,
    postgres_site::PostgresSite,
    service::Service,
    waiting::{wait_for, wait_until},
};
use crate::helpers::postgres::{PostgresServer, blocking};

fn slow_uploads(site: &PostgresSite, milliseconds: u64) {
    let delay = FaultRule::on(FaultPath::Batch, FaultAction::Delay { milliseconds });
    site.client_system.set_faults(vec![delay]);
}

#[test]
fn a_server_that_restarts_ten_times_loses_and_doubles_nothing() {
    const READINGS: u32 = 40_000;
    let server = PostgresServer::start();
    let site = PostgresSite::on(&server).set("BATCH_SIZE", "200");
    slow_uploads(&site, 20);
    site.insert(READINGS);
    let service = site.start();
    for restart in 0..10 {
        let received = site.client_system.batches().len();
        wait_until("uploads to go on", || {
            site.client_system.batches().len() > received + 3
        });
        if restart % 3 == 2 {
            server.crash();
            server.start_again();
        } else {
            server.restart();
        }
    }
    assert!(
        site.count("meter_readings") > 0,
        "the restarts came after the drain"
    );
    site.client_system.clear_faults();
    site.wait_until_drained(READINGS.into());
    wait_until("all to be well", || service.get("/status")["state"] == "ok");
    let restarts = service.get("/status")["actors"].clone();
    for actor in restarts.as_array().unwrap() {
        assert_eq!(actor["restarts"], 0, "{actor}");
    }
    service.stop();
    site.assert_all_delivered_once(READINGS.into());
    assert_no_reading_under_two_keys(&site.client_system.batches(), READINGS as usize);
}

#[test]
fn connections_that_are_ended_in_the_middle_lose_and_double_nothing() {
    const READINGS: u32 = 40_000;
    let server = PostgresServer::start();
    let site = PostgresSite::on(&server)
        .set("BATCH_SIZE", "200")
        .set("MAX_IN_FLIGHT", "2");
    slow_uploads(&site, 80);
    site.insert(READINGS);
    let service = site.start();
    let mut ended = 0;
    for _ in 0..15 {
        let received = site.client_system.batches().len();
        wait_until("uploads to go on", || {
            site.client_system.batches().len() > received
        });
        ended += server.kill_backends("meterit-sync");
    }
    assert!(ended >= 15, "{ended} connections were ended");
    assert!(
        site.count("meter_readings") > 0,
        "the last came after the drain"
    );
    site.client_system.clear_faults();
    site.wait_until_drained(READINGS.into());
    wait_until("all to be well", || service.get("/status")["state"] == "ok");
    service.stop();
    site.assert_all_delivered_once(READINGS.into());
    assert_no_reading_under_two_keys(&site.client_system.batches(), READINGS as usize);
}

#[test]
fn a_server_that_is_not_there_yet_is_waited_for() {
    let server = PostgresServer::start();
    let site = PostgresSite::on(&server);
    site.insert(10);
    server.stop();
    let service = site.start();
    let status = wait_for("a status", || {
        Some(service.get("/status")).filter(|status| status["state"] == "degraded")
    });
    let reason = status["reason"].as_str().unwrap();
    assert!(
        reason.contains("the PostgreSQL server at 127.0.0.1:"),
        "{reason}"
    );
    assert_eq!(service.ask("GET", "/health/ready", None).status, 503);
    server.start_again();
    site.wait_until_drained(10);
    wait_until("all to be well", || service.get("/status")["state"] == "ok");
    service.stop();
}

#[test]
fn a_server_without_connections_left_is_waited_for() {
    let server = PostgresServer::start();
    let site = PostgresSite::on(&server);
    site.sql(
        "CREATE ROLE few LOGIN CONNECTION LIMIT 0; ALTER TABLE meters OWNER TO few; \
         ALTER TABLE meter_readings OWNER TO few; ALTER TABLE sync_log OWNER TO few; \
         GRANT CREATE ON SCHEMA public TO few",
    );
    site.insert(10);
    let url = site.url.replace("meterit@", "few@");
    let site = site.set("DATABASE_URL", &url);
    let service = site.start();
    let status = wait_for("a status", || {
        Some(service.get("/status")).filter(|status| status["state"] == "degraded")
    });
    let reason = status["reason"].as_str().unwrap();
    assert!(reason.contains("too many connections"), "{reason}");
    site.sql("ALTER ROLE few CONNECTION LIMIT -1");
    site.wait_until_drained(10);
    service.stop();
    site.assert_all_delivered_once(10);
}

#[test]
fn fresh_readings_are_announced_and_announcements_stop_for_a_while() {
    let server = PostgresServer::start();
    let site = PostgresSite::on(&server).set("SYNC_INTERVAL_MINUTES", "60");
    let service = site.start();
    let listening = || site.ask("SELECT bool_or(is_listening) FROM service_instances");
    wait_until("an idle service", || {
        service.get("/status")["state"] == "ok" && listening() == "true"
    });
    site.insert(1);
    // Whoever inserts next does not pay for an announcement any more.
    wait_until("an announcement", || listening() == "false");
    site.wait_until_drained(1);
    service.stop();
}

/// A service that has begun with an empty queue and sends nothing until it is told to.
fn idle_service(site: &PostgresSite) -> Service {
    let service = site.start();
    wait_until("an idle service", || {
        service.get("/status")["state"] == "ok"
    });
    service.ask("POST", "/api/v1/sync/stop", None);
    service
}

/// A session that keeps a row locked, and what ends it.
fn locked_row(site: &PostgresSite, id: u32) -> (JoinHandle<Result<(), sqlx::Error>>, impl Fn()) {
    locked_by(
        site,
        format!("SELECT id FROM meter_readings WHERE id = {id} FOR UPDATE"),
    )
}

/// A session that keeps the locks which this takes, and what ends it.
fn locked_by(
    site: &PostgresSite,
    lock: String,
) -> (JoinHandle<Result<(), sqlx::Error>>, impl Fn()) {
    let url = site.url.clone();
    let statements = format!("BEGIN; {lock}; SELECT pg_sleep(600)");
    let lock = std::thread::spawn(move || blocking::execute(&url, &statements));
    let of_the_lock = "pg_stat_activity WHERE wait_event = 'PgSleep'";
    wait_until("the lock", || site.count(of_the_lock) == 1);
    let release = move || {
        site.ask(&format!(
            "SELECT pg_cancel_backend(pid)::text FROM {of_the_lock}"
        ));
    };
    (lock, release)
}

#[test]
fn rows_that_another_session_locks_hold_up_no_others() {
    const READINGS: u32 = 20_000;
    let server = PostgresServer::start();
    let site = PostgresSite::on(&server).set("BATCH_SIZE", "200");
    let service = idle_service(&site);
    site.insert(READINGS);
    let (lock, release) = locked_row(&site, 7);
    service.ask("POST", "/api/v1/sync/start", None);
    wait_until("all others to leave", || {
        site.count("meter_readings") == 200
    });
    let status = wait_for("words about it", || {
        Some(service.get("/status")).filter(|status| status["state"] == "degraded")
    });
    let reason = status["reason"].as_str().unwrap();
    assert!(reason.contains("lock timeout"), "{reason}");
    release();
    assert!(lock.join().unwrap().is_err(), "it was cancelled");
    site.wait_until_drained(READINGS.into());
    wait_until("all to be well", || service.get("/status")["state"] == "ok");
    service.stop();
    site.assert_all_delivered_once(READINGS.into());
    assert_no_reading_under_two_keys(&site.client_system.batches(), READINGS as usize);
}

#[test]
fn an_unreadable_row_that_another_session_locks_holds_up_no_others() {
    const READINGS: u32 = 2_000;
    let server = PostgresServer::start();
    let site = PostgresSite::on(&server).set("BATCH_SIZE", "200");
    let service = idle_service(&site);
    site.insert(READINGS);
    let spoilt = "UPDATE meter_readings SET value = 'NaN' WHERE id = 7";
    blocking::execute(&site.url, spoilt).unwrap();
    let (lock, release) = locked_row(&site, 7);
    service.ask("POST", "/api/v1/sync/start", None);
    wait_until("all others to leave", || site.count("meter_readings") == 1);
    let status = service.get("/status");
    assert_eq!(status["queue"]["pending"], 1, "{status}");
    release();
    assert!(lock.join().unwrap().is_err(), "it was cancelled");
    // The pass that passed it over may not have ended yet: then another one follows.
    service.ask("POST", "/api/v1/sync/trigger?wait=true", None);
    wait_until("it to be set aside", || {
        site.count("quarantined_readings") == 1
    });
    service.stop();
}

#[test]
fn a_table_that_another_session_locks_is_told_until_it_is_free() {
    let server = PostgresServer::start();
    let site = PostgresSite::on(&server);
    let service = idle_service(&site);
    site.insert(100);
    let (lock, release) = locked_by(&site, "LOCK TABLE meter_readings IN SHARE MODE".to_owned());
    service.ask("POST", "/api/v1/sync/start", None);
    let told = wait_for("words about it", || {
        Some(service.get("/status")).filter(|status| status["state"] == "degraded")
    });
    // Whatever is tried meanwhile, and whatever can be read.
    for _ in 0..40 {
        std::thread::sleep(std::time::Duration::from_millis(250));
        let status = service.get("/status");
        assert_eq!(status["state"], "degraded", "{status}");
        assert_eq!(status["since"], told["since"], "{status}");
    }
    release();
    assert!(lock.join().unwrap().is_err(), "it was cancelled");
    site.wait_until_drained(100);
    wait_until("all to be well", || service.get("/status")["state"] == "ok");
    service.stop();
}
