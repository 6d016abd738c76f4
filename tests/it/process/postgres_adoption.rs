//! A database of a deployed site, taken over while the Meter Collection Service goes on inserting.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
    thread,
};

use super::{postgres_site::PostgresSite, waiting::wait_until};

/// As the Meter Collection Service writes it.
const OLD_INSERT: &str =
    "INSERT INTO meter_readings (meter_external_id, timestamp, data_point, value, unit) VALUES";

/// Values at the edges of the column, each made different by its thousandths where there is room.
fn value(number: u32) -> String {
    match number % 4 {
        0 => format!("999999999{:03}.999", number % 1000),
        1 => "0.001".to_owned(),
        2 => format!("-{}.100", number),
        _ => format!("{}.{:03}", number, number % 1000),
    }
}

fn row(number: u32) -> String {
    format!(
        "('METER-{}', timestamp '2026-01-01' + {number} * interval '1 second', 'energy', {}, 'kWh')",
        number % 7,
        value(number)
    )
}

#[test]
fn a_deployed_database_is_taken_over_while_it_is_written_to() {
    const FOUND: u32 = 10_000;
    let site = PostgresSite::new();
    let rows: Vec<_> = (0..FOUND).map(row).collect();
    site.sql(&format!("{OLD_INSERT} {}", rows.join(",")));
    let (is_over, inserted) = (AtomicBool::new(false), AtomicU32::new(FOUND));
    thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                let number = inserted.load(Ordering::Relaxed);
                site.sql(&format!("{OLD_INSERT} {}", row(number)));
                inserted.store(number + 1, Ordering::Relaxed);
            }
        });
        wait_until("the inserting to run", || {
            inserted.load(Ordering::Relaxed) > FOUND + 10
        });
        let service = site.start();
        wait_until("what was found to arrive", || {
            site.client_system.delivered().1 >= u64::from(FOUND)
        });
        let later = inserted.load(Ordering::Relaxed) + 100;
        wait_until("the inserting to go on", || {
            inserted.load(Ordering::Relaxed) > later
        });
        is_over.store(true, Ordering::Relaxed);
        wait_until("an empty queue", || {
            service.post("/api/v1/sync/trigger", None);
            site.count("meter_readings") == 0 && site.count("upload_manifests") == 0
        });
        service.stop();
    });
    let inserted = inserted.into_inner();
    site.assert_all_delivered_once(inserted.into());
    let arrived: BTreeMap<String, String> = site
        .client_system
        .stored_readings()
        .into_iter()
        .map(|reading| (reading.timestamp.to_string(), reading.value.to_string()))
        .collect();
    assert_eq!(arrived.len(), inserted as usize);
    for (number, arrived) in (0..inserted).zip(arrived.values()) {
        assert_eq!(
            thousandths(arrived),
            thousandths(&value(number)),
            "{number}"
        );
    }
}

/// An exact decimal with three places or fewer as a whole number.
fn thousandths(decimal: &str) -> i64 {
    let (integer, fraction) = decimal.split_once('.').unwrap_or((decimal, ""));
    assert!(fraction.len() <= 3, "{decimal}");
    format!("{integer}{fraction:0<3}").parse().unwrap()
}

#[test]
fn what_other_programs_do_still_works() {
    let site = PostgresSite::new();
    site.sql(&format!(
        "DROP ROLE IF EXISTS collector; CREATE ROLE collector LOGIN; {OLD_INSERT} {}",
        row(1)
    ));
    let site = site.set("CLIENT_API_URL", "http://127.0.0.1:1/api");
    let service = site.start();
    wait_until("the tables to be taken over", || {
        service.ask("GET", "/health/ready", None).status == 200
    });
    // A role that knows nothing of this service's tables inserts as before.
    site.sql(
        "GRANT INSERT ON meter_readings TO collector; GRANT USAGE ON SEQUENCE meter_readings_id_seq TO collector",
    );
    let as_collector = site.url.replace("meterit@", "collector@");
    crate::helpers::postgres::blocking::execute(&as_collector, &format!("{OLD_INSERT} {}", row(2)))
        .expect("it may insert");
    let pending = "SELECT COUNT(*) FROM meter_readings WHERE is_synchronized = false";
    assert_eq!(site.ask(pending), "2");
    wait_until("the count of the queue", || {
        service.get("/status")["sync"]["queueSize"] == 2
    });
    site.sql("UPDATE meter_readings SET is_synchronized = true WHERE id = 1");
    site.sql("SELECT * FROM sync_log ORDER BY synced_at DESC LIMIT 20");
    wait_until("the count of the queue", || {
        service.get("/status")["sync"]["queueSize"] == 1
    });
    service.stop();
    site.sql("DROP OWNED BY collector; DROP ROLE collector");
}

#[test]
fn tables_that_are_something_else_are_left_alone() {
    let site = PostgresSite::new();
    site.sql("ALTER TABLE meter_readings ALTER COLUMN value TYPE text");
    let tables = "SELECT string_agg(relname, ',' ORDER BY relname) FROM pg_class WHERE relkind = 'r' \
        AND relnamespace = 'public'::regnamespace";
    let before = site.ask(tables);
    let (status, log) = site.start().wait();
    assert_eq!(status.code(), Some(2));
    let log = log.join("\n");
    assert!(
        log.contains(
            "the table meter_readings has a column value of type text, where numeric is expected"
        ),
        "{log}"
    );
    assert_eq!(site.ask(tables), before);
}
