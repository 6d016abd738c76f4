//! A disk that is full, a disk that is read-only, a database that another program keeps locked: what the service says
//! meanwhile, and that every accepted reading arrives afterwards.

use std::{
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};

use serde_json::{Value, json};

use super::{
    http::Answer, service::Service, site::Site, small_disk::SmallDisk, waiting::wait_until,
};

const DEPLOYED_TABLES: &str = include_str!("../../../migrations/sqlite/0001_deployed_tables.sql");

/// Statements of another program; whether all of them succeeded.
fn sqlite(database: &Path, statements: &str) -> (bool, String) {
    let mut shell = Command::new("sqlite3")
        .args(["-bail", "-cmd", ".timeout 10000"])
        .arg(database)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the sqlite3 shell must be installed (Debian: sqlite3)");
    let mut input = shell.stdin.take().expect("a pipe");
    // It may have given up before it has read everything.
    let _ = input.write_all(statements.as_bytes());
    drop(input);
    let output = shell.wait_with_output().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    (output.status.success(), printed)
}

fn insert(database: &Path, first: u64, readings: u64) -> bool {
    let statement = format!(
        "WITH RECURSIVE n(i) AS (SELECT {first} UNION ALL SELECT i + 1 FROM n WHERE i < {first} + {readings} - 1) \
         INSERT INTO meter_readings (meter_external_id, timestamp, data_point, value, unit) \
         SELECT 'METER-' || (i % 20), strftime('%Y-%m-%d %H:%M:%f', '2026-01-01', '+' || i || ' seconds'), \
         'active_energy', i || '.125', 'kWh' FROM n;"
    );
    sqlite(database, &statement).0
}

fn on_disk(disk: &SmallDisk) -> (Site, PathBuf) {
    let database = disk.path().join("sync.db");
    let (made, _) = sqlite(
        &database,
        &format!("PRAGMA journal_mode = WAL; {DEPLOYED_TABLES}"),
    );
    assert!(made);
    let site = Site::new()
        .set("DATABASE_URL", &format!("sqlite:{}", database.display()))
        .set("API_TIMEOUT", "2000");
    (site, database)
}

fn reading(number: u64) -> Value {
    json!([{ "meter_external_id": "POSTED", "timestamp": "2026-01-01T00:00:00Z", "data_point": "energy",
        "value": number }])
}

fn state(service: &Service) -> String {
    service.get("/status")["state"].as_str().unwrap().to_owned()
}

/// A small disk that is about to fill, since nothing can leave it; none where nobody may mount one.
fn in_an_outage() -> Option<(SmallDisk, Site, PathBuf, Service)> {
    let disk = SmallDisk::of_megabytes(48)?;
    let (site, database) = on_disk(&disk);
    site.client_system.set_down(true);
    let service = site.start();
    wait_until("the reserve to be kept", || {
        disk.path().join("sync.db.reserve").exists()
    });
    Some((disk, site, database, service))
}

#[test]
fn a_full_disk_refuses_new_readings_and_empties_itself_by_uploading() {
    let Some((_disk, site, database, service)) = in_an_outage() else {
        return;
    };
    let mut accepted = 0;
    while insert(&database, accepted + 1, 2_000) {
        accepted += 2_000;
    }
    // Smaller ones until nothing fits any more.
    while insert(&database, accepted + 1, 50) {
        accepted += 50;
    }
    let refused = loop {
        let answer = service.post("/api/v1/readings", Some(&reading(1_000_000 + accepted)));
        if answer.status != 201 {
            break answer;
        }
        accepted += 1;
    };
    assert_eq!(refused.status, 507, "{refused:?}");
    wait_until("the state to tell", || tells_of_full_disk(&service));

    site.client_system.set_down(false);
    wait_until("everything to arrive", || {
        site.client_system.delivered().1 >= accepted
    });
    wait_until("all to be well", || state(&service) == "ok");
    wait_until("new readings to be welcome", || {
        service.post("/api/v1/readings", Some(&reading(2))).status == 201
    });
    wait_until("the last one to arrive", || {
        site.client_system.delivered().1 > accepted
    });
    site.assert_all_delivered_once(accepted + 1);
    assert!(accepted > 50_000, "{accepted} readings");
    service.stop();
}

/// How many readings were accepted until there was no room for more, and the refusal.
fn post_until_refused(service: &Service) -> (u64, Answer) {
    const AT_ONCE: u64 = 500;
    let mut accepted = 0;
    loop {
        let readings: Vec<Value> = (accepted..accepted + AT_ONCE)
            .map(|number| reading(number)[0].clone())
            .collect();
        let answer = service.post("/api/v1/readings", Some(&json!(readings)));
        if answer.status != 201 {
            return (accepted, answer);
        }
        accepted += AT_ONCE;
    }
}

#[test]
fn what_others_write_onto_a_full_disk_does_not_take_what_uploads_need() {
    let Some((disk, site, _database, service)) = in_an_outage() else {
        return;
    };
    let (accepted, _) = post_until_refused(&service);
    wait_until("the state to tell", || tells_of_full_disk(&service));
    let reserve = disk.path().join("sync.db.reserve");
    assert!(reserve.exists(), "nothing needs it during an outage");
    let mut ballast = std::fs::File::create(disk.path().join("ballast")).unwrap();
    while ballast.write_all(&[1; 4096]).is_ok() {}
    service.kill();
    let service = site.start();
    site.client_system.set_down(false);
    wait_until("everything to arrive", || {
        site.client_system.delivered().1 >= accepted
    });
    site.assert_all_delivered_once(accepted);
    service.stop();
}

/// Another program, within a transaction that reads, so that the log of the database cannot be emptied.
struct LongReader(Child);

impl LongReader {
    fn of(database: &Path) -> Self {
        let mut shell = Command::new("sqlite3")
            .arg(database)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the sqlite3 shell must be installed (Debian: sqlite3)");
        let input = shell.stdin.as_mut().expect("a pipe");
        writeln!(input, "BEGIN; SELECT count(*) FROM meter_readings;").unwrap();
        let mut first = String::new();
        BufReader::new(shell.stdout.as_mut().expect("a pipe"))
            .read_line(&mut first)
            .unwrap();
        assert!(first.trim().parse::<u64>().is_ok(), "{first}");
        Self(shell)
    }
}

impl Drop for LongReader {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A log that nobody may empty fills the disk, and to be emptied it needs room for the database to grow.
#[test]
fn a_disk_that_a_log_has_filled_empties_itself_once_its_reader_is_gone() {
    let Some((disk, site, database, service)) = in_an_outage() else {
        return;
    };
    let reader = LongReader::of(&database);
    let (accepted, refused) = post_until_refused(&service);
    assert_eq!(refused.status, 507, "{refused:?}");
    assert!(accepted > 30_000, "{accepted} readings");
    wait_until("the state to tell of the reader", || {
        let status = service.get("/status");
        let reason = status["reason"].as_str().unwrap_or_default();
        reason.contains("been reading from the Sync Database for long")
            && status["queue"]["log_kept_bytes"].as_u64() > Some(8 << 20)
    });
    // From the reserve.
    site.client_system.set_down(false);
    wait_until("the first to arrive while it reads", || {
        site.client_system.delivered().1 > 0
    });
    // What is held for the log is not taken by programs that fill the disk, either.
    let mut ballast = std::fs::File::create(disk.path().join("ballast")).unwrap();
    while ballast.write_all(&[1; 4096]).is_ok() {}
    drop(reader);
    wait_until("everything to arrive", || {
        site.client_system.delivered().1 >= accepted
    });
    wait_until("nothing to be held any more", || {
        !disk.path().join("sync.db.log-reserve").exists()
    });
    std::fs::remove_file(disk.path().join("ballast")).unwrap();
    wait_until("all to be well", || state(&service) == "ok");
    let status = service.get("/status");
    assert!(status["queue"]["log_kept_bytes"].is_null(), "{status}");
    site.assert_all_delivered_once(accepted);
    service.stop();
}

fn tells_of_full_disk(service: &Service) -> bool {
    let status = service.get("/status");
    let reason = status["reason"].as_str().unwrap_or_default();
    reason.contains("is full") && status["queue"]["disk_full_since"].is_string()
}

/// As the Meter Collection Service does, which knows nothing of any reserve.
#[test]
fn the_room_that_empties_a_full_disk_is_not_taken_by_programs_that_go_on_inserting() {
    const AT_ONCE: u64 = 200;
    let Some((disk, site, database, service)) = in_an_outage() else {
        return;
    };
    let (accepted, refused) = (AtomicU64::new(0), AtomicU64::new(0));
    let mut posted = 0;
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _over = scopeguard(&is_over);
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                let done = accepted.load(Ordering::Relaxed);
                // The first time in big steps.
                let full = refused.load(Ordering::Relaxed) > 0;
                let number = if full { AT_ONCE } else { 10 * AT_ONCE };
                if insert(&database, done + 1, number) {
                    accepted.fetch_add(number, Ordering::Relaxed);
                } else {
                    refused.fetch_add(1, Ordering::Relaxed);
                    std::thread::sleep(Duration::from_millis(20));
                }
            }
        });
        wait_until("the state to tell", || tells_of_full_disk(&service));
        let many = refused.load(Ordering::Relaxed) + 20;
        wait_until("many tries to be refused", || {
            refused.load(Ordering::Relaxed) >= many
        });
        // A single reading may find room where many do not.
        let refusal = loop {
            let answer = service.post("/api/v1/readings", Some(&reading(posted)));
            if answer.status != 201 {
                break answer;
            }
            posted += 1;
        };
        assert_eq!(refusal.status, 507, "{refusal:?}");
        let before = accepted.load(Ordering::Relaxed);
        assert!(before > 50_000, "{before} readings");
        // Nothing empties the queue yet, so that what is kept for that stays.
        assert!(disk.path().join("sync.db.reserve").exists());
        let many = refused.load(Ordering::Relaxed) + 20;
        wait_until("many more tries to be refused", || {
            refused.load(Ordering::Relaxed) >= many
        });
        assert_eq!(accepted.load(Ordering::Relaxed), before);
        site.client_system.set_down(false);
        wait_until("all of them to arrive", || {
            site.client_system.delivered().1 >= before + posted
        });
        wait_until("readings to be welcome again", || {
            accepted.load(Ordering::Relaxed) > before + 10 * AT_ONCE
        });
    });
    let accepted = accepted.into_inner() + posted;
    wait_until("the rest to arrive", || {
        site.client_system.delivered().1 >= accepted
    });
    wait_until("all to be well", || state(&service) == "ok");
    site.assert_all_delivered_once(accepted);
    service.stop();
}

/// Ends the other program, also when the test fails.
fn scopeguard(is_over: &AtomicBool) -> impl Drop + '_ {
    struct Over<'a>(&'a AtomicBool);
    impl Drop for Over<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    Over(is_over)
}

/// Twice the database does not fit, until somebody makes room.
#[test]
fn a_damaged_database_on_a_full_disk_is_saved_once_there_is_room() {
    const READINGS: u64 = 150_000;
    let Some(disk) = SmallDisk::of_megabytes(48) else {
        return;
    };
    let (site, database) = on_disk(&disk);
    let service = site.start();
    service.wait_until_connected();
    service.stop();
    assert!(insert(&database, 1, READINGS));
    assert!(sqlite(&database, "PRAGMA wal_checkpoint(TRUNCATE);").0);
    // The first inner page of the readings: no row is lost with it, but none is reached.
    let mut bytes = std::fs::read(&database).unwrap();
    let (_, root) = sqlite(
        &database,
        "SELECT rootpage FROM sqlite_schema WHERE name = 'meter_readings';",
    );
    let at = (root.parse::<usize>().unwrap() - 1) * 4096;
    bytes[at..at + 4096].fill(0xab);
    std::fs::write(&database, bytes).unwrap();
    // Not even with the reserve is there room for a second one.
    let ballast = disk.path().join("ballast");
    let mut file = std::fs::File::create(&ballast).unwrap();
    while std::io::Write::write_all(&mut file, &[1; 1 << 20]).is_ok() {}
    let length = file.metadata().unwrap().len();
    file.set_len(length - (4 << 20)).unwrap();
    drop(file);

    let service = site.start();
    wait_until("the state to tell", || {
        let status = service.get("/status");
        let reason = status["reason"].as_str().unwrap_or_default();
        status["state"] == "degraded" && reason.contains("damaged") && reason.contains("full")
    });
    let refused = service.post("/api/v1/readings", Some(&reading(1)));
    assert_eq!(refused.status, 503, "{refused:?}");
    assert_eq!(site.client_system.delivered().1, 0);
    std::fs::remove_file(ballast).unwrap();
    wait_until("it to be mended", || {
        !service.get("/status")["salvage"].is_null()
    });
    wait_until("the first to arrive", || {
        site.client_system.delivered().1 > 0
    });
    wait_until("everything to arrive", || {
        site.client_system.delivered().1 == READINGS
    });
    site.assert_all_delivered_once(READINGS);
    let status = service.get("/status");
    assert_eq!(status["salvage"]["lost_at_most"], 0, "{status}");
    wait_until("new readings to be welcome", || {
        service.post("/api/v1/readings", Some(&reading(2))).status == 201
    });
    service.stop();
}

#[test]
fn a_disk_that_is_read_only_is_waited_for() {
    let Some(disk) = SmallDisk::of_megabytes(64) else {
        return;
    };
    let (site, database) = on_disk(&disk);
    let service = site.start();
    service.wait_until_connected();
    assert!(insert(&database, 1, 1_000));
    wait_until("the first to arrive", || {
        site.client_system.delivered().1 == 1_000
    });
    wait_until("nothing to be open", || state(&service) == "ok");
    service.stop();
    assert!(insert(&database, 1_001, 1_000));
    disk.set_read_only(true);
    let service = site.start();
    wait_until("the state to tell", || state(&service) == "degraded");
    let refused = service.post("/api/v1/readings", Some(&reading(1)));
    assert_eq!(refused.status, 503, "{refused:?}");
    assert_eq!(
        site.client_system.delivered().1,
        1_000,
        "nothing can be claimed"
    );
    disk.set_read_only(false);
    wait_until("the rest to arrive", || {
        site.client_system.delivered().1 == 2_000
    });
    wait_until("all to be well", || state(&service) == "ok");
    site.assert_all_delivered_once(2_000);
    service.stop();
}

/// Longer than any of the service's own waits for a lock, by an order.
#[test]
fn a_database_that_another_program_locks_for_a_minute_is_waited_for() {
    const LOCKED: Duration = Duration::from_secs(60);
    let site = Site::new();
    let service = site.start();
    service.wait_until_connected();
    site.client_system.set_down(true);
    site.insert(10);
    wait_until("the outage to be noticed", || state(&service) == "offline");
    let script = format!(
        "PRAGMA locking_mode = NORMAL; BEGIN IMMEDIATE; \
         INSERT INTO meter_readings (meter_external_id, timestamp, data_point, value) VALUES ('LOCKER', '2026-01-01 00:00:00', 'energy', 1);\n\
         .shell sleep {}\nCOMMIT;",
        LOCKED.as_secs()
    );
    let database = site.database();
    let locker = std::thread::spawn(move || sqlite(&database, &script).0);
    let stored = std::cell::Cell::new(0);
    let reading_of = |number| {
        let answer = service.post("/api/v1/readings", Some(&reading(number)));
        stored.set(stored.get() + u64::from(answer.status == 201));
        answer.status
    };
    wait_until("the lock to be felt", || reading_of(1) == 503);
    site.client_system.set_down(false);
    wait_until("the state to tell", || state(&service) == "degraded");
    assert!(locker.join().unwrap(), "the other program had all its time");
    wait_until("readings to be welcome again", || reading_of(2) == 201);
    wait_until("all to arrive", || site.count("meter_readings") == 0);
    wait_until("all to be well", || state(&service) == "ok");
    // Ten before, one of the other program, and those that were answered with 201, some perhaps alike.
    let ledger = site.client_system.ledger();
    assert_eq!(ledger.readings_stored, 11 + stored.get(), "{ledger:?}");
    assert_eq!(ledger.keys_with_differing_bodies, 0);
    assert!(
        service.get("/status")["actors"]
            .as_array()
            .unwrap()
            .iter()
            .all(|actor| actor["restarts"] == 0)
    );
    service.stop();
}
