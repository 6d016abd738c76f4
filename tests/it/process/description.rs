//! The description of the local API against the running service: a tester that knows nothing but the description asks in
//! thousands of ways, and what is refused leaves no trace in the queue.

use std::{fs, path::Path};

use meterit_sync::demo::client_system::ClientSystem;

use super::{postgres_site::PostgresSite, service::Service, site::Site, waiting::wait_until};
use crate::helpers::peers;

/// Readings that cannot be sent, so that there is something in quarantine.
const UNREADABLE: u64 = 200;

#[test]
fn the_service_on_sqlite_does_what_its_description_says() {
    let site = Site::new();
    site.sql(&format!(
        "INSERT INTO meter_readings (meter_external_id, timestamp, data_point, value) \
         SELECT 'M-' || value, 'nonsense', 'energy', 1 FROM generate_series(1, {UNREADABLE});"
    ));
    let service = site.start();
    let account = site.file("account");
    attack(&service, &account);
    assert_accounted_for(&service, &site.client_system, &account);
    assert_eq!(site.count("meter_readings"), 0);
    service.stop();
}

#[test]
fn the_service_on_postgresql_does_what_its_description_says() {
    let site = PostgresSite::new();
    site.sql(&format!(
        "INSERT INTO meter_readings (meter_external_id, timestamp, data_point, value) \
         SELECT 'M-' || number, now(), 'energy', 'NaN' FROM generate_series(1, {UNREADABLE}) AS number"
    ));
    let service = site.start();
    let folder = tempfile::tempdir().unwrap();
    let account = folder.path().join("account");
    attack(&service, &account);
    assert_accounted_for(&service, &site.client_system, &account);
    assert_eq!(site.count("meter_readings"), 0);
    service.stop();
}

/// Some of these once found what others did not.
const SEEDS: [&str; 3] = ["1", "2", "6"];

fn attack(service: &Service, account: &Path) {
    service.wait_until_connected();
    wait_until("the quarantine to fill", || {
        service.get("/api/v1/quarantine")["total"] == UNREADABLE
    });
    for seed in SEEDS {
        attack_with(seed, service, account);
    }
}

fn attack_with(seed: &str, service: &Service, account: &Path) {
    let description = format!("http://127.0.0.1:{}/openapi.json", service.port());
    let output = peers::interface_tester(&description, account)
        .args(["--checks", "all"])
        // The stream of events has no end for which the tester could wait, and assistants have a protocol of their own.
        .args(["--exclude-path", "/api/v1/events", "--exclude-path", "/mcp"])
        // For people with a browser; it would take them for ways to get a token.
        .args(["--exclude-path", "/login", "--exclude-path", "/logout"])
        .args(["--max-examples", "50", "--request-timeout", "30"])
        .args(["--seed", seed, "--generation-database", "none"])
        .current_dir(account.parent().expect("a folder"))
        .output()
        .expect("the tester runs");
    let said = String::from_utf8_lossy(&output.stdout);
    let short = said.lines().map(|line| line.chars().take(500).collect());
    let short: Vec<String> = short.collect();
    let short = short.join("\n");
    assert!(output.status.success(), "seed {seed}: {short}");
    let summary = said.lines().find(|line| line.contains(" generated, "));
    let summary = summary.unwrap_or_else(|| panic!("seed {seed}: {short}"));
    let numbers: Vec<&str> = summary.split_whitespace().collect();
    assert!(
        matches!(numbers[..], [all, "generated,", passed, "passed"] if all == passed),
        "seed {seed}: {summary}"
    );
}

/// Every reading that was accepted is with the Client System, in quarantine, or was discarded, and there are no others.
fn assert_accounted_for(service: &Service, client_system: &ClientSystem, account: &Path) {
    // One of the calls has perhaps stopped it.
    service.post("/api/v1/sync/start", None).expect_status(200);
    wait_until("a pass over everything", || {
        service.post("/api/v1/sync/trigger?wait=true", None).status == 200
    });
    let account = fs::read_to_string(account).expect("the tester leaves an account");
    let sum = |what: &str| -> u64 {
        let lines = account.lines().filter_map(|line| line.strip_prefix(what));
        lines
            .map(|number| number.trim().parse::<u64>().unwrap())
            .sum()
    };
    let (stored, discarded) = (sum("stored"), sum("discarded"));
    assert!(stored > 20 && discarded > 5, "{stored}, {discarded}");
    let status = service.get("/status");
    let quarantined = status["queue"]["quarantined"].as_u64().unwrap();
    let ledger = client_system.ledger();
    assert_eq!(
        UNREADABLE + stored,
        ledger.readings_stored + quarantined + discarded,
        "{ledger:?} {status}"
    );
    assert_eq!(status["queue"]["pending"], 0);
    assert_eq!(
        ledger.raw_duplicates,
        ledger.readings_stored - ledger.distinct_readings
    );
    for actor in status["actors"].as_array().unwrap() {
        assert_eq!(actor["restarts"], 0, "{actor}");
    }
}
