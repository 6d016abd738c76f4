//! A Sync Database whose pages are damaged: Vector 17644, a corrupt buffer wedges the agent. Here it is set aside, and
//! every reading that can be read arrives.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom, Write},
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
};

use serde_json::Value;

use super::{service::Service, site::Site, waiting::wait_until};

const PAGE: u64 = 4096;
pub(super) const READINGS: u32 = 20_000;

/// Overwrites pages, numbered from 1, with what no page looks like.
fn damage(file: &Path, pages: &[u64]) {
    let mut file = File::options().write(true).open(file).unwrap();
    for page in pages {
        file.seek(SeekFrom::Start((page - 1) * PAGE)).unwrap();
        file.write_all(&[0xAB; PAGE as usize]).unwrap();
    }
    file.sync_all().unwrap();
}

/// Pages of the table of readings that hold rows and nothing else.
fn leaves(site: &Site) -> Vec<u64> {
    leaves_with(site, b"active_energy")
}

/// Pages that hold rows with this text.
fn leaves_with(site: &Site, text: &[u8]) -> Vec<u64> {
    site.sql("PRAGMA wal_checkpoint(TRUNCATE);");
    let mut bytes = Vec::new();
    File::open(site.database())
        .unwrap()
        .read_to_end(&mut bytes)
        .unwrap();
    let pages = bytes.chunks(PAGE as usize).enumerate();
    pages
        .filter(|(_, page)| page[0] == 0x0d && page.windows(text.len()).any(|part| part == text))
        .map(|(index, _)| index as u64 + 1)
        .collect()
}

pub(super) fn salvage(service: &Service) -> Value {
    service.get("/status")["salvage"].clone()
}

pub(super) fn set_aside(site: &Site) -> usize {
    let folder = std::fs::read_dir(site.database().parent().unwrap()).unwrap();
    let names = folder.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names
        .filter(|name| name.starts_with("sync.db.damaged-") && !name.contains("-wal"))
        .filter(|name| !name.contains("-shm"))
        .count()
}

/// A site that has run before and has a queue now.
pub(super) fn with_queue() -> Site {
    let site = Site::new();
    let service = site.start();
    service.wait_until_connected();
    service.stop();
    site.insert(READINGS);
    site
}

#[test]
fn vector_17644_damaged_pages_cost_the_readings_on_them_and_nothing_else() {
    let site = with_queue();
    let leaves = leaves(&site);
    let chosen = [leaves[3], leaves[50], leaves[51], leaves[120]];
    damage(&site.database(), &chosen);
    let service = site.start();
    wait_until("the damage to be found", || !salvage(&service).is_null());
    wait_until("the rest to arrive", || {
        site.count("meter_readings") == 0 && site.client_system.delivered().1 > 0
    });
    let salvage = salvage(&service);
    let lost = salvage["lost_at_most"].as_u64().unwrap();
    let arrived = site.client_system.delivered().1;
    assert_eq!(arrived + lost, u64::from(READINGS), "{salvage}");
    assert!((100..600).contains(&lost), "{salvage}");
    site.assert_all_delivered_once(arrived);
    assert_eq!(set_aside(&site), 1);
    let status = service.get("/status");
    assert_eq!(status["state"], "degraded");
    assert!(
        status["reason"].as_str().unwrap().contains("was damaged"),
        "{status}"
    );
    // It stays usable.
    site.sql(
        "INSERT INTO meter_readings (meter_external_id, timestamp, data_point, value) \
         VALUES ('LATER', '2026-02-01 00:00:00', 'energy', 1);",
    );
    wait_until("a later reading to arrive", || {
        site.client_system.delivered().1 == arrived + 1
    });
    service.stop();
    let service = site.start();
    wait_until("the state to tell after a restart too", || {
        service.get("/status")["state"] == "degraded"
    });
    for entry in std::fs::read_dir(site.database().parent().unwrap()).unwrap() {
        let path = entry.unwrap().path();
        if path.display().to_string().contains(".damaged-") {
            std::fs::remove_file(path).unwrap();
        }
    }
    wait_until("all to be well again", || {
        service.get("/status")["state"] == "ok"
    });
    service.stop();
}

#[test]
fn a_file_that_is_no_database_any_more_does_not_keep_the_service_from_starting() {
    let site = with_queue();
    site.sql("PRAGMA wal_checkpoint(TRUNCATE);");
    damage(&site.database(), &[1]);
    let service = site.start();
    wait_until("the service to be ready", || {
        service.ask("GET", "/health/ready", None).status == 200
    });
    wait_until("the damage to be told", || !salvage(&service).is_null());
    let salvage = salvage(&service);
    assert_eq!(salvage["readings"], READINGS, "{salvage}");
    assert_eq!(salvage["lost_at_most"], 0, "{salvage}");
    site.insert(100);
    let all = u64::from(READINGS) + 100;
    wait_until("old and new readings to arrive", || {
        site.client_system.delivered().0 >= all && site.count("meter_readings") == 0
    });
    assert_eq!(set_aside(&site), 1);
    assert_eq!(salvage["later_is_unreadable"], false, "{salvage}");
    service.stop();
}

#[test]
fn a_file_that_was_emptied_is_told() {
    let site = with_queue();
    site.sql("PRAGMA wal_checkpoint(TRUNCATE);");
    File::options()
        .write(true)
        .open(site.database())
        .unwrap()
        .set_len(0)
        .unwrap();
    let service = site.start();
    wait_until("the state to tell", || {
        let status = service.get("/status");
        let reason = status["reason"].as_str().unwrap_or_default();
        status["state"] == "degraded" && reason.contains("nobody can tell how many readings")
    });
    assert!(salvage(&service)["lost_at_most"].is_null());
    // Whoever still has the damaged one open had better hear of it.
    wait_until("it to be told that nothing more comes from there", || {
        let status = service.get("/status");
        let reason = status["reason"].as_str().unwrap_or_default();
        status["salvage"]["later_is_unreadable"] == true && reason.contains("restart them at once")
    });
    site.insert(100);
    wait_until("new readings to arrive", || {
        site.client_system.delivered().1 == 100
    });
    service.stop();
    // Whoever removes the file altogether wants a new one.
    let site = with_queue();
    std::fs::remove_file(site.database()).unwrap();
    let service = site.start();
    wait_until("a new one to be there", || {
        service.get("/status")["state"] == "ok"
    });
    service.stop();
}

/// A folder where the new database is to be made keeps a salvage from succeeding until it is removed.
fn hinder(site: &Site) -> std::path::PathBuf {
    let folder = site.file("sync.db.salvaged");
    std::fs::create_dir(&folder).unwrap();
    folder
}

fn reading(meter: &str, number: u32) -> Value {
    serde_json::json!([{ "meter_external_id": meter, "timestamp": "2026-02-01T00:00:00Z", "data_point": "energy",
        "value": number }])
}

#[test]
fn a_salvage_that_fails_is_told_and_tried_again_by_itself() {
    let site = with_queue();
    let leaves = leaves(&site);
    damage(&site.database(), &[leaves[3]]);
    let hindrance = hinder(&site);
    let service = site.start();
    wait_until("the state to tell", || {
        let status = service.get("/status");
        let reason = status["reason"].as_str().unwrap_or_default();
        status["state"] == "degraded"
            && reason.contains("has not succeeded yet")
            && !reason.contains("no reading waits")
    });
    let refused = service.post("/api/v1/readings", Some(&reading("POSTED", 1)));
    assert_eq!(refused.status, 503, "{refused:?}");
    assert!(refused.body.contains("damaged"), "{refused:?}");
    assert_eq!(service.ask("GET", "/health/live", None).status, 200);
    wait_until("a second try", || {
        let failures = |line: &String| line.contains("cannot be replaced yet");
        service.log().iter().filter(|line| failures(line)).count() >= 2
    });
    std::fs::remove_dir(hindrance).unwrap();
    wait_until("the rest to arrive", || {
        site.client_system.delivered().1 > u64::from(READINGS) - 100
            && site.count("meter_readings") == 0
    });
    let lost = salvage(&service)["lost_at_most"].as_u64().unwrap();
    site.assert_all_delivered_once(u64::from(READINGS) - lost);
    assert!(lost > 0 && lost < 100, "{lost}");
    let stored = service.post("/api/v1/readings", Some(&reading("POSTED", 2)));
    assert_eq!(stored.status, 201, "{stored:?}");
    service.stop();
}

#[test]
fn while_it_is_offline_the_damage_is_told_as_well() {
    let site = with_queue();
    site.sql("PRAGMA wal_checkpoint(TRUNCATE);");
    damage(&site.database(), &[1]);
    let hindrance = hinder(&site);
    site.client_system.set_down(true);
    let service = site.start();
    wait_until("the state to tell", || {
        let status = service.get("/status");
        let reason = status["reason"].as_str().unwrap_or_default();
        status["state"] == "offline"
            && reason.contains("cannot be read")
            && !reason.contains("no reading waits")
    });
    std::fs::remove_dir(hindrance).unwrap();
    wait_until("it to be mended", || !salvage(&service).is_null());
    service.stop();
}

#[test]
fn a_torn_write_ahead_log_is_read_as_far_as_it_is_whole() {
    let site = with_queue();
    // A connection that stays open keeps the log from being folded into the file.
    let log = site.file("sync.db-wal");
    let kept = site.file("kept-wal");
    let (database, copy) = (site.database(), site.file("kept.db"));
    let script = format!(
        "PRAGMA journal_mode = WAL; INSERT INTO meter_readings (meter_external_id, timestamp, data_point, value) \
         VALUES ('TORN', '2026-02-01 00:00:00', 'energy', 1);\n.shell cp {} {}; cp {} {}",
        log.display(),
        kept.display(),
        database.display(),
        copy.display()
    );
    site.sql(&script);
    std::fs::copy(&copy, &database).unwrap();
    let torn = std::fs::read(&kept).unwrap();
    std::fs::write(&log, &torn[..torn.len() - 1000]).unwrap();
    let service = site.start();
    wait_until("everything before it to arrive", || {
        site.client_system.delivered().1 >= u64::from(READINGS)
    });
    service.stop();
}

#[test]
fn a_salvage_that_is_killed_is_gone_on_with() {
    let site = with_queue();
    let leaves = leaves(&site);
    damage(&site.database(), &[leaves[10], leaves[200]]);
    for milliseconds in [20, 40, 60, 80, 100, 130, 160] {
        let service = site.start();
        std::thread::sleep(std::time::Duration::from_millis(milliseconds));
        service.kill();
    }
    let service = site.start();
    wait_until("the rest to arrive", || {
        site.client_system.delivered().1 > u64::from(READINGS) * 9 / 10
            && site.count("meter_readings") == 0
    });
    let arrived = site.client_system.delivered().1;
    assert!(arrived >= u64::from(READINGS) - 300, "{arrived}");
    site.assert_all_delivered_once(arrived);
    service.stop();
}

/// Another program that has the database open until it is told to go.
pub(super) struct Shell {
    process: Child,
    input: ChildStdin,
}

impl Shell {
    pub(super) fn open(site: &Site) -> Self {
        let mut process = Command::new("sqlite3")
            .args(["-bail", "-cmd", ".timeout 10000"])
            .arg(site.database())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("the sqlite3 shell must be installed (Debian: sqlite3)");
        let input = process.stdin.take().unwrap();
        Self { process, input }
    }

    pub(super) fn say(&mut self, statement: &str) {
        writeln!(self.input, "{statement}").unwrap();
        self.input.flush().unwrap();
    }

    pub(super) fn insert(&mut self, number: u32) {
        self.say(&format!(
            "INSERT INTO meter_readings (meter_external_id, timestamp, data_point, value) \
             VALUES ('STRAY', '2026-02-01 00:00:00', 'energy', {number});"
        ));
    }

    /// Ends it as a crash does: nothing of it is put in order.
    pub(super) fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

/// Whether the reading arrived, once.
pub(super) fn arrived_once(site: &Site, number: u32) -> bool {
    let at = "2026-02-01T00:00:00Z".parse().unwrap();
    let number = number.to_string();
    site.client_system
        .times_stored("STRAY", at, "energy", &number)
        == 1
}

#[test]
fn a_program_that_opens_the_damaged_file_during_the_salvage_loses_nothing() {
    let site = with_queue();
    let leaves = leaves(&site);
    damage(&site.database(), &[leaves[3]]);
    let hindrance = hinder(&site);
    let service = site.start();
    wait_until("the salvage to be tried", || {
        service.get("/status")["reason"]
            .as_str()
            .unwrap()
            .contains("has not succeeded yet")
    });
    // The service has let go of the file: this program makes a write-ahead log of its own.
    let mut collector = Shell::open(&site);
    let committed = |number: u32| {
        wait_until("the commit", || {
            let answer = site.sql(&format!(
                "SELECT count(*) FROM meter_readings WHERE id > {READINGS} AND value = {number};"
            ));
            answer == "1"
        });
    };
    collector.insert(1);
    committed(1);
    collector.insert(2);
    committed(2);
    std::fs::remove_dir(hindrance).unwrap();
    wait_until("the damage to be mended", || !salvage(&service).is_null());
    // It goes on in the files that it has, and ends without putting them in order.
    collector.insert(3);
    wait_until("all of it to arrive", || {
        [1, 2, 3].iter().all(|number| arrived_once(&site, *number))
    });
    collector.kill();
    wait_until("an empty queue", || site.count("meter_readings") == 0);
    site.assert_all_delivered_once(site.client_system.delivered().1);
    service.stop();
}

#[test]
fn damage_that_only_a_look_meets_is_mended_and_told() {
    let site = with_queue();
    site.sql(
        "DELETE FROM meter_readings; \
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000) \
         INSERT INTO quarantined_readings (reading_id, meter_external_id, timestamp, data_point, value, retry_count, \
         reason, message, quarantined_at) SELECT i, 'LOST', '2026-01-01', 'active_energy', i, 0, 'refused', \
         'no such meter', '2026-01-01 00:00:00.000' FROM n;",
    );
    let leaves = leaves_with(&site, b"no such meter");
    let service = site.start();
    wait_until("all to be well", || service.get("/status")["state"] == "ok");
    let pages: Vec<u64> = leaves[2..12].to_vec();
    damage(&site.database(), &pages);
    wait_until("the damage to be met", || {
        let page = service.ask("GET", "/api/v1/quarantine?limit=500&offset=2500", None);
        page.status == 503 || !salvage(&service).is_null()
    });
    wait_until("it to be mended", || !salvage(&service).is_null());
    let kept = site.count("quarantined_readings");
    let status = service.get("/status");
    assert_eq!(status["salvage"]["lost_at_most"], 0, "{status}");
    let lost = status["salvage"]["quarantine_lost_at_most"].as_u64();
    assert_eq!(lost, Some(3_000 - kept), "{status}");
    assert!(kept < 3_000);
    let reason = status["reason"].as_str().unwrap();
    assert!(
        reason.contains("had been in quarantine could not be read"),
        "{reason}"
    );
    let page = service.ask("GET", "/api/v1/quarantine?limit=1", None);
    assert_eq!(page.status, 200, "{page:?}");
    service.stop();
}

#[test]
fn a_program_that_still_writes_to_the_damaged_file_loses_nothing() {
    let site = with_queue();
    let leaves = leaves(&site);
    // It has the database open before, and never looks again where it is.
    let mut shell = Shell::open(&site);
    shell.say("SELECT max(id) FROM meter_readings;");
    damage(&site.database(), &[leaves[3]]);
    let service = site.start();
    wait_until("the damage to be found", || !salvage(&service).is_null());
    shell.insert(1);
    wait_until("its reading to arrive", || arrived_once(&site, 1));
    shell.insert(2);
    wait_until("the next one to arrive", || arrived_once(&site, 2));
    // Also when the service was away meanwhile.
    service.kill();
    shell.insert(3);
    let service = site.start();
    wait_until("the last one to arrive", || arrived_once(&site, 3));
    assert_eq!(salvage(&service)["taken_in_later"], 3);
    assert_eq!(salvage(&service)["later_is_unreadable"], false);
    wait_until("an empty queue", || site.count("meter_readings") == 0);
    site.assert_all_delivered_once(site.client_system.delivered().1);
    shell.kill();
    service.stop();
}
