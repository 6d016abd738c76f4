//! Bad readings in a good queue: found, corrected or discarded by an operator with nothing but HTTP.

use meterit_sync::demo::client_system::{
    FaultAction, FaultPath, FaultRule, Naming, ReadingPattern,
};
use serde_json::{Value, json};

use super::{service::Service, site::Site, waiting::wait_until};

const READINGS: u32 = 3_000;
/// The readings whose data point is emptied: in the first, the second and the third batch.
const BAD: [u32; 3] = [17, 1_500, 2_999];
/// What the server says of a reading that it names, and of a batch in which it names none.
const NAMED: &str = "Data point is required";
const UNNAMED: &str = "Validation error";

#[test]
fn readings_that_the_server_names_are_set_aside_corrected_and_delivered() {
    corrected_ones_arrive(&site_with_bad_readings(), NAMED);
}

#[test]
fn readings_that_the_server_does_not_name_are_found_corrected_and_delivered() {
    let site = site_with_unnamed_bad_readings();
    corrected_ones_arrive(&site, UNNAMED);
    // 2·⌈log2 1000⌉+1 requests isolate one bad reading of a batch; then come the rest and the corrected ones.
    let requests = site.client_system.ledger().batches_received;
    assert!(requests <= 3 * 21 + 3 + 1, "{requests}");
}

#[test]
fn discarded_readings_are_gone_and_the_audit_says_so() {
    discarded_ones_are_gone(&site_with_bad_readings(), NAMED);
    discarded_ones_are_gone(&site_with_unnamed_bad_readings(), UNNAMED);
}

#[test]
fn a_server_that_refuses_everything_has_nothing_set_aside() {
    let site = Site::new();
    site.insert(READINGS);
    let naming = Naming::Nothing;
    let rule = FaultRule::on(FaultPath::Batch, FaultAction::Refuse { naming });
    site.client_system.set_faults(vec![rule]);
    let service = site.start();
    wait_until("the state", || {
        service.get("/status")["state"] == "misconfigured"
    });
    assert_eq!(service.get("/api/v1/quarantine")["total"], 0);
    assert_eq!(site.count("meter_readings"), u64::from(READINGS));

    site.client_system.clear_faults();
    service
        .post("/api/v1/sync/trigger?wait=true", None)
        .expect_status(200);
    let ledger = site.assert_all_delivered_once(READINGS.into());
    assert_eq!(ledger.raw_duplicates, 0, "{ledger:?}");
    assert_eq!(service.get("/status")["state"], "ok");
    service.stop();
}

/// The Client System's own validation names an empty data point.
fn site_with_bad_readings() -> Site {
    let site = Site::new();
    site.insert(READINGS);
    site.sql(&format!(
        "UPDATE meter_readings SET data_point = '' WHERE id IN ({});",
        BAD.map(|id| id.to_string()).join(", ")
    ));
    site
}

/// A server that only says that something is wrong, whenever a certain data point is in the batch.
fn site_with_unnamed_bad_readings() -> Site {
    let site = Site::new();
    site.insert(READINGS);
    site.sql(&format!(
        "UPDATE meter_readings SET data_point = 'nonsense' WHERE id IN ({});",
        BAD.map(|id| id.to_string()).join(", ")
    ));
    let contains = Some(ReadingPattern {
        data_point: Some("nonsense".to_owned()),
        ..ReadingPattern::default()
    });
    let naming = Naming::Nothing;
    let rule = FaultRule {
        contains,
        ..FaultRule::on(FaultPath::Batch, FaultAction::Refuse { naming })
    };
    site.client_system.set_faults(vec![rule]);
    site
}

/// Runs one pass over the queue; the entries that it has set aside.
fn entries_after_one_pass(site: &Site, service: &Service, server_words: &str) -> Vec<Value> {
    service.wait_until_connected();
    let report = service
        .post("/api/v1/sync/trigger?wait=true", None)
        .expect_status(200);
    assert_eq!(report["end"]["kind"], "drained", "{report}");
    assert_eq!(site.client_system.delivered(), (2_997, 2_997));
    let page = service.get("/api/v1/quarantine");
    assert_eq!(page["total"], 3, "{page}");
    let mut entries = page["items"].as_array().expect("a list").clone();
    entries.sort_by_key(|entry| entry["reading_id"].as_i64());
    for (entry, bad) in entries.iter().zip(BAD) {
        assert_eq!(entry["reading_id"], bad, "{entry}");
        assert_eq!(entry["reason"], "refused", "{entry}");
        assert_eq!(entry["status"], 400, "{entry}");
        let words = entry["message"].as_str().expect("words");
        assert!(words.contains(server_words), "the server's words: {entry}");
    }
    entries
}

fn corrected_ones_arrive(site: &Site, server_words: &str) {
    let service = site.start();
    let entries = entries_after_one_pass(site, &service, server_words);
    for entry in entries {
        let path = format!("/api/v1/quarantine/{}", entry["id"]);
        let correction = json!({"data_point": "active_energy"});
        let corrected = service
            .ask("PATCH", &path, Some(&correction))
            .expect_status(200);
        assert_eq!(corrected["data_point"], "active_energy", "{corrected}");
        let requeued = service
            .post(&format!("{path}/requeue"), None)
            .expect_status(200);
        assert_eq!(requeued["affected"], 1, "{requeued}");
    }
    service
        .post("/api/v1/sync/trigger?wait=true", None)
        .expect_status(200);

    let ledger = site.assert_all_delivered_once(READINGS.into());
    assert_eq!(ledger.raw_duplicates, 0, "{ledger:?}");
    assert_eq!(service.get("/api/v1/quarantine")["total"], 0);
    assert_eq!(site.count("meter_readings"), 0);
    for action in ["quarantined", "corrected", "requeued"] {
        assert_eq!(audited(site, action), 3, "{action}");
    }
    service.stop();
}

fn discarded_ones_are_gone(site: &Site, server_words: &str) {
    let service = site.start();
    let entries = entries_after_one_pass(site, &service, server_words);
    let path = format!("/api/v1/quarantine/{}", entries[0]["id"]);
    let discarded = service.ask("DELETE", &path, None).expect_status(200);
    assert_eq!(discarded["affected"], 1, "{discarded}");
    service.ask("DELETE", &path, None).expect_status(404);
    let rest = service
        .ask("DELETE", "/api/v1/quarantine?reason=refused", None)
        .expect_status(200);
    assert_eq!(rest["affected"], 2, "{rest}");
    service
        .post("/api/v1/sync/trigger?wait=true", None)
        .expect_status(200);

    assert_eq!(site.client_system.delivered(), (2_997, 2_997));
    assert_eq!(service.get("/api/v1/quarantine")["total"], 0);
    assert_eq!(site.count("meter_readings"), 0);
    assert_eq!(audited(site, "discarded"), 3);
    let told = site.sql("SELECT details FROM quarantine_audit WHERE action = 'discarded';");
    for bad in BAD {
        assert!(
            told.contains(&format!("\"reading_id\":{bad},")),
            "{bad}: {told}"
        );
    }
    service.stop();
}

fn audited(site: &Site, action: &str) -> u64 {
    site.count(&format!("quarantine_audit WHERE action = '{action}'"))
}
