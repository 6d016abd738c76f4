//! A write-ahead log that is damaged with commits behind it, which SQLite would drop without a word.

use super::{
    damage::{READINGS, Shell, arrived_once, salvage, set_aside, with_queue},
    site::Site,
    waiting::wait_until,
};

/// A commit of 500 readings.
const MANY: &str = "INSERT INTO meter_readings (meter_external_id, timestamp, data_point, value, unit) \
     WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500) \
     SELECT 'MANY', '2026-01-01 00:00:00', 'energy', i + (SELECT max(id) FROM meter_readings), 'kWh' FROM n;";

/// A site whose log holds so many commits of a program that came to a sudden end, behind so many large ones.
fn with_log(large: u32, commits: u32) -> Site {
    let site = with_queue();
    let mut collector = Shell::open(&site);
    collector.say("PRAGMA wal_autocheckpoint = 0;");
    for _ in 0..large {
        collector.say(MANY);
    }
    for number in 0..commits {
        collector.insert(number);
    }
    wait_until("the commits", || {
        site.count("meter_readings") == u64::from(READINGS + 500 * large + commits)
    });
    collector.kill();
    site
}

#[test]
fn a_log_that_is_damaged_in_its_midst_costs_nothing_that_is_committed_behind_it() {
    let site = with_log(5, 40);
    let all = u64::from(READINGS) + 2_500 + 40;
    let log = site.file("sync.db-wal");
    let mut bytes = std::fs::read(&log).unwrap();
    // Within the large commits, which take about half of it.
    let quarter = bytes.len() / 4;
    bytes[quarter..quarter + 5_000].fill(0xAB);
    std::fs::remove_file(site.file("sync.db-shm")).unwrap();
    std::fs::write(&log, bytes).unwrap();
    let service = site.start();
    wait_until("the damage to be told", || !salvage(&service).is_null());
    let salvage = salvage(&service);
    wait_until("all others to arrive", || {
        site.count("meter_readings") == 0 && site.client_system.delivered().1 > 0
    });
    let told = salvage["quarantined"].as_u64().unwrap() + salvage["lost_at_most"].as_u64().unwrap();
    let arrived = site.client_system.delivered().1;
    assert!(arrived + told >= all, "{arrived} {salvage}");
    // That no batch was claimed shows behind the damage: whatever can be read is sent.
    assert_eq!(salvage["quarantined"], 0, "{salvage}");
    assert!(arrived >= all - 200, "{arrived} {salvage}");
    assert!(told <= 1_000, "{salvage}");
    // Each of these lies on a page that was written again behind the damage.
    assert!(
        (0..40).all(|number| arrived_once(&site, number)),
        "{salvage}"
    );
    site.assert_all_delivered_once(arrived);
    assert_eq!(set_aside(&site), 1);
    let reason = service.get("/status")["reason"].to_string();
    assert!(reason.contains("was damaged"), "{reason}");
    service.stop();
}

#[test]
fn a_log_that_a_sudden_end_left_is_not_taken_for_damaged() {
    let site = with_log(0, 10);
    let service = site.start();
    wait_until("everything to arrive", || {
        site.client_system.delivered().1 == u64::from(READINGS) + 10
    });
    assert!(salvage(&service).is_null());
    assert_eq!(set_aside(&site), 0);
    service.stop();
}

#[test]
fn a_log_that_is_lost_up_to_its_end_while_another_program_has_it_open_is_told_as_lost() {
    let site = with_queue();
    let mut collector = Shell::open(&site);
    collector.say("PRAGMA wal_autocheckpoint = 0;");
    for _ in 0..5 {
        collector.say(MANY);
    }
    let all = u64::from(READINGS) + 2_500;
    wait_until("the commits", || site.count("meter_readings") == all);
    let log = site.file("sync.db-wal");
    let mut bytes = std::fs::read(&log).unwrap();
    let first = bytes.len() / 10;
    bytes[first..].fill(0xAB);
    overwrite(&log, &bytes);
    let service = site.start();
    wait_until("the damage to be told", || !salvage(&service).is_null());
    wait_until("what is left to arrive", || {
        site.client_system.delivered().1 >= u64::from(READINGS)
    });
    let told = salvage(&service);
    let lost = all - site.client_system.delivered().1;
    assert!(
        told["lost_at_most"]
            .as_u64()
            .is_none_or(|most| most >= lost),
        "{lost} {told}"
    );
    assert_eq!(told["quarantined"], 0, "{told}");
    let reason = service.get("/status")["reason"].to_string();
    assert!(!reason.contains("no reading was lost"), "{reason}");
    service.stop();
    collector.kill();
}

/// As a disk does it: in the file that others have open.
fn overwrite(path: &std::path::Path, bytes: &[u8]) {
    use std::io::Write;
    let mut file = std::fs::File::options().write(true).open(path).unwrap();
    file.write_all(bytes).unwrap();
}
