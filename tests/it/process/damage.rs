//! A Sync Database whose pages are damaged: Vector 17644, a corrupt buffer wedges the agent. Here it is set aside, and
//! every reading that can be read arrives.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom, Write},
    path::Path,
    process::{Command, Stdio},
};

use serde_json::Value;

use super::{service::Service, site::Site, waiting::wait_until};

const PAGE: u64 = 4096;
const READINGS: u32 = 20_000;

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
    site.sql("PRAGMA wal_checkpoint(TRUNCATE);");
    let mut bytes = Vec::new();
    File::open(site.database())
        .unwrap()
        .read_to_end(&mut bytes)
        .unwrap();
    let pages = bytes.chunks(PAGE as usize).enumerate();
    pages
        .filter(|(_, page)| {
            page[0] == 0x0d && page.windows(13).any(|text| text == b"active_energy")
        })
        .map(|(index, _)| index as u64 + 1)
        .collect()
}

fn salvage(service: &Service) -> Value {
    service.get("/status")["salvage"].clone()
}

fn set_aside(site: &Site) -> usize {
    let folder = std::fs::read_dir(site.database().parent().unwrap()).unwrap();
    let names = folder.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names
        .filter(|name| name.starts_with("sync.db.damaged-") && !name.contains("-wal"))
        .filter(|name| !name.contains("-shm"))
        .count()
}

/// A site that has run before and has a queue now.
fn with_queue() -> Site {
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
    let salvage = salvage(&service);
    assert!(
        salvage["lost_at_most"].as_u64() >= Some(u64::from(READINGS)),
        "{salvage}"
    );
    site.insert(100);
    wait_until("new readings to arrive", || {
        site.client_system.delivered().1 == 100
    });
    assert_eq!(set_aside(&site), 1);
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

#[test]
fn a_program_that_still_writes_to_the_damaged_file_loses_nothing() {
    let site = with_queue();
    let leaves = leaves(&site);
    // It has the database open before, and never looks again where it is.
    let mut shell = Command::new("sqlite3")
        .args(["-bail", "-cmd", ".timeout 10000"])
        .arg(site.database())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("the sqlite3 shell must be installed (Debian: sqlite3)");
    let mut input = shell.stdin.take().unwrap();
    let mut say = |statement: &str| {
        writeln!(input, "{statement}").unwrap();
        input.flush().unwrap();
    };
    say("SELECT max(id) FROM meter_readings;");
    damage(&site.database(), &[leaves[3]]);
    let service = site.start();
    wait_until("the damage to be found", || !salvage(&service).is_null());
    let insert = |number: u32| {
        format!(
            "INSERT INTO meter_readings (meter_external_id, timestamp, data_point, value) \
             VALUES ('STRAY', '2026-02-01 00:00:00', 'energy', {number});"
        )
    };
    say(&insert(1));
    let arrived = |number: &str| {
        let at = "2026-02-01T00:00:00Z".parse().unwrap();
        site.client_system
            .times_stored("STRAY", at, "energy", number)
            == 1
    };
    wait_until("its reading to arrive", || arrived("1"));
    say(&insert(2));
    wait_until("the next one to arrive", || arrived("2"));
    // Also when the service was away meanwhile.
    service.kill();
    say(&insert(3));
    let service = site.start();
    wait_until("the last one to arrive", || arrived("3"));
    assert_eq!(salvage(&service)["taken_in_later"], 3);
    wait_until("an empty queue", || site.count("meter_readings") == 0);
    site.assert_all_delivered_once(site.client_system.delivered().1);
    drop(input);
    shell.wait().unwrap();
    service.stop();
}
