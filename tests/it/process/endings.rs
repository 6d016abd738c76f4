//! An orderly end while an upload is under way.

use meterit_sync::demo::client_system::{FaultAction, FaultPath, FaultRule};

use super::{crashes::assert_no_reading_under_two_keys, site::Site, waiting::wait_until};

const READINGS: u32 = 20_000;

#[test]
fn sigterm_during_an_upload_ends_well_and_the_next_start_goes_on() {
    ends_well_on("TERM");
}

#[test]
fn ctrl_c_during_an_upload_ends_well_and_the_next_start_goes_on() {
    ends_well_on("INT");
}

#[test]
fn an_upload_without_an_answer_is_repeated_under_its_key_by_the_next_start() {
    unanswered_upload_survives_the_end(&Site::new().set("API_TIMEOUT", "1000"));
}

#[test]
fn an_upload_that_outlasts_the_end_is_repeated_under_its_key_by_the_next_start() {
    unanswered_upload_survives_the_end(&Site::new().set("API_TIMEOUT", "600000"));
}

fn unanswered_upload_survives_the_end(site: &Site) {
    // Stored, but nobody is told: the case in which another key would double the readings.
    let silent = FaultRule::on(FaultPath::Batch, FaultAction::Hang)
        .skip(2)
        .after_commit();
    site.client_system.set_faults(vec![silent]);
    site.insert(READINGS);
    let service = site.start();
    wait_until("the upload without an answer", || {
        site.client_system.batches().len() > 2
    });

    service.signal("TERM");
    let (status, log) = service.wait();

    assert_eq!(status.code(), Some(0), "{}", log.join("\n"));
    assert_eq!(site.count("meter_readings"), u64::from(READINGS) - 2_000);
    let batches = site.client_system.batches();
    let unanswered = batches[2..].iter().map(|batch| batch.key.clone());
    let unanswered: Vec<String> = unanswered.map(|key| key.expect("a key")).collect();
    let kept = site.sql("SELECT key FROM upload_manifests;");
    for key in &unanswered {
        assert!(kept.contains(key), "what is open keeps its key");
    }

    site.client_system.clear_faults();
    let service = site.start();
    site.wait_until_drained(READINGS.into());
    service.stop();
    site.assert_all_delivered_once(READINGS.into());
    for key in &unanswered {
        let record = site.client_system.key(key).expect("a record");
        assert!(record.sendings > 1 && record.identical, "{record:?}");
    }
    assert_no_reading_under_two_keys(&site.client_system.batches(), READINGS as usize);
}

fn ends_well_on(signal: &str) {
    let site = Site::new();
    let slow = FaultRule::on(FaultPath::Batch, FaultAction::Delay { milliseconds: 700 });
    site.client_system.set_faults(vec![slow]);
    site.insert(READINGS);
    let service = site.start();
    wait_until("an upload", || site.client_system.batches().len() > 1);

    service.signal(signal);
    let (status, log) = service.wait();

    assert_eq!(status.code(), Some(0), "{}", log.join("\n"));
    let left = site.count("meter_readings");
    assert!(left > 0, "the upload was to be interrupted");
    assert_eq!(
        site.client_system.delivered().0 + left,
        u64::from(READINGS),
        "what was under way is settled"
    );
    assert_eq!(site.count("upload_manifests WHERE attempts > 0"), 0);

    site.client_system.clear_faults();
    let service = site.start();
    site.wait_until_drained(READINGS.into());
    service.stop();
    let ledger = site.assert_all_delivered_once(READINGS.into());
    assert_eq!(ledger.raw_duplicates, 0, "{ledger:?}");
    assert_no_reading_under_two_keys(&site.client_system.batches(), READINGS as usize);
}
