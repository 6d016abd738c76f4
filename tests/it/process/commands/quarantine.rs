//! Bad readings looked after with nothing but the commands.

use serde_json::Value;

use super::{Site, connected, document, quiet_site, run};

/// Readings whose data point is empty, which the Client System refuses.
const BAD: [i64; 3] = [3, 5, 8];

/// Lets a site's service set the bad ones aside; the ids of their entries, in order.
fn set_aside(port: u16) -> Vec<String> {
    run(port, &["sync", "trigger", "--wait"]).done();
    let page = document(port, &["quarantine", "list", "--reason", "refused"]);
    assert_eq!(page["total"], 3, "{page}");
    let mut entries = page["items"].as_array().unwrap().clone();
    entries.sort_by_key(|entry| entry["reading_id"].as_i64());
    let ids = |entry: &Value| entry["reading_id"].as_i64().unwrap();
    assert_eq!(entries.iter().map(ids).collect::<Vec<_>>(), BAD);
    entries
        .iter()
        .map(|entry| entry["id"].to_string())
        .collect()
}

fn site_with_bad_readings() -> Site {
    let site = quiet_site();
    site.insert(10);
    site.sql("UPDATE meter_readings SET data_point = '' WHERE id IN (3, 5, 8);");
    site
}

#[test]
fn readings_are_corrected_requeued_and_discarded() {
    let site = site_with_bad_readings();
    let service = connected(&site);
    let port = service.port();
    let ids = set_aside(port);

    let listed = run(port, &["quarantine", "list", "--meter", "METER-3"]).done();
    assert_eq!(listed.lines().count(), 2, "{listed}");
    assert!(listed.contains("Data point is required"), "{listed}");
    let shown = run(port, &["quarantine", "show", &ids[0]]).done();
    assert!(
        shown.contains("\nHTTP status  400\n") && shown.contains("\nreading id   3\n"),
        "{shown}"
    );

    let correct = [
        "quarantine",
        "correct",
        &ids[0],
        "--data-point",
        "energy",
        "--value",
        "-12.340",
        "--no-unit",
    ];
    let corrected = run(port, &correct).done();
    assert!(
        corrected.contains("\nvalue        -12.340\nunit         –\n"),
        "{corrected}"
    );
    let refused = ["quarantine", "correct", &ids[0], "--value", "1e15"];
    let said = run(port, &refused).failed(1);
    assert!(
        said.contains("The request makes no sense: the correction is not valid"),
        "{said}"
    );
    let requeued = run(port, &["quarantine", "requeue", &ids[0]]).done();
    assert_eq!(requeued, "1 reading returned to the queue\n");

    let unasked = run(port, &["quarantine", "discard", &ids[1]]).failed(2);
    assert!(unasked.contains("--yes"), "{unasked}");
    assert_eq!(document(port, &["quarantine", "list"])["total"], 2);
    let discarded = run(port, &["quarantine", "discard", &ids[1], "--yes"]).done();
    assert_eq!(discarded, "1 reading discarded\n");
    run(port, &["quarantine", "discard", &ids[1], "--yes"]).failed(1);
    let result = document(
        port,
        &[
            "quarantine",
            "discard",
            "--reason",
            "refused",
            "--meter",
            "METER-8",
            "--yes",
        ],
    );
    assert_eq!(result["affected"], 1, "{result}");

    run(port, &["sync", "trigger", "--wait"]).done();
    assert_eq!(run(port, &["quarantine", "list"]).done(), "none\n");
    assert_eq!(site.client_system.delivered(), (8, 8));
    for (action, times) in [("corrected", 1), ("requeued", 1), ("discarded", 2)] {
        let rows = format!("quarantine_audit WHERE action = '{action}'");
        assert_eq!(site.count(&rows), times, "{action}");
    }
    service.stop();
}

#[test]
fn what_may_be_stored_already_needs_consent() {
    let site = site_with_bad_readings();
    let service = connected(&site);
    let port = service.port();
    let ids = set_aside(port);
    site.sql("UPDATE quarantined_readings SET reason = 'possibly_stored', data_point = 'energy';");

    let said = run(port, &["quarantine", "requeue", &ids[0]]).failed(1);
    assert!(
        said.contains("The reading may be stored already: "),
        "{said}"
    );
    let passed_over = run(port, &["quarantine", "requeue", "--all"]).done();
    assert!(
        passed_over.starts_with("0 readings returned to the queue\n3 left in quarantine"),
        "{passed_over}"
    );
    let one = ["quarantine", "requeue", &ids[0], "--accept-double"];
    assert_eq!(document(port, &one)["affected"], 1);
    let rest = [
        "quarantine",
        "requeue",
        "--reason",
        "possibly_stored",
        "--accept-double",
    ];
    assert_eq!(
        run(port, &rest).done(),
        "2 readings returned to the queue\n"
    );
    service.stop();
}
