//! A write-ahead log that is damaged with commits behind it, which SQLite would drop without a word.

use super::{
    damage::{READINGS, Shell, arrived_once, salvage, set_aside, with_queue},
    site::Site,
    waiting::wait_until,
};

/// A site whose log holds so many commits of a program that came to a sudden end.
fn with_log(commits: u32) -> Site {
    let site = with_queue();
    let mut collector = Shell::open(&site);
    collector.say("PRAGMA wal_autocheckpoint = 0;");
    for number in 0..commits {
        collector.insert(number);
    }
    wait_until("the commits", || {
        site.count("meter_readings") == u64::from(READINGS + commits)
    });
    collector.kill();
    site
}

#[test]
fn a_log_that_is_damaged_in_its_midst_costs_nothing_that_is_committed_behind_it() {
    let site = with_log(40);
    let log = site.file("sync.db-wal");
    let mut bytes = std::fs::read(&log).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 5_000].fill(0xAB);
    std::fs::write(&log, bytes).unwrap();
    let service = site.start();
    wait_until("the damage to be told", || !salvage(&service).is_null());
    let salvage = salvage(&service);
    wait_until("all others to arrive", || {
        site.count("meter_readings") == 0 && site.client_system.delivered().1 > 0
    });
    let told = salvage["quarantined"].as_u64().unwrap() + salvage["lost_at_most"].as_u64().unwrap();
    let arrived = site.client_system.delivered().1;
    assert!(
        arrived + told >= u64::from(READINGS) + 40,
        "{arrived} {salvage}"
    );
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
    let site = with_log(10);
    let service = site.start();
    wait_until("everything to arrive", || {
        site.client_system.delivered().1 == u64::from(READINGS) + 10
    });
    assert!(salvage(&service).is_null());
    assert_eq!(set_aside(&site), 0);
    service.stop();
}
