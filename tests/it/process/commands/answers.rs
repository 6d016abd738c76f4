//! Each command once for people and once as a document.

use meterit_sync::demo::client_system::ServedMeter;
use serde_json::{Value, json};

use super::{Told, command, connected, document, quiet_site, run};

#[test]
fn every_command_answers_people_and_programs() {
    let site = quiet_site();
    site.insert(30);
    site.sql(
        "UPDATE meter_readings SET data_point = '', timestamp = datetime('now') WHERE id = 7;",
    );
    let mut configuration = site.client_system.configuration();
    configuration.meters = ["M-1", "M-2"].map(meter).into();
    site.client_system.set_configuration(configuration);
    let service = connected(&site);
    let port = service.port();

    let waited = run(port, &["sync", "trigger", "--wait"]).done();
    assert!(
        waited.contains("the queue was uploaded; 29 readings delivered, 1 quarantined"),
        "{waited}"
    );
    let report = document(port, &["sync", "trigger", "--wait"]);
    assert_eq!(report["end"]["kind"], "drained", "{report}");
    let triggered = run(port, &["sync", "trigger"]).done();
    assert!(triggered.starts_with("pass "), "{triggered}");

    for (arguments, words) in [
        (
            &["status"][..],
            "\nqueue          0 waiting, of these 0 in flight; 1 in quarantine\n",
        ),
        (&["connectivity"], "the Client System is reachable, for "),
        (
            &["connectivity", "check"],
            "the Client System is reachable, for ",
        ),
        (&["heartbeat"], "the heartbeat was taken at 20"),
        (
            &["config", "download"],
            "the configuration was downloaded: 2 meters, 0 no longer in it",
        ),
        (&["stats", "--hours", "1"], "\nreadings stored  29\n"),
        (&["log", "--limit", "5"], "stored\n"),
        (&["quarantine", "list"], "refused"),
        (&["readings", "--hours", "1"], "none\n"),
        (
            &["meters", "--limit", "1"],
            "1 of 2; --offset 1 shows those that follow",
        ),
        (&["sync", "stop"], "the uploading is stopped\n"),
        (&["sync", "start"], "the uploading is started\n"),
    ] {
        let said = run(port, arguments).done();
        assert!(said.contains(words), "{arguments:?}: {said}");
        document(port, arguments);
    }
    for (arguments, path) in [
        (&["stats"][..], "/api/v1/sync/stats"),
        (&["log"], "/api/v1/sync/log"),
        (
            &["meters", "--limit", "2", "--offset", "1"],
            "/api/v1/meters?limit=2&offset=1",
        ),
        (&["quarantine", "list"], "/api/v1/quarantine"),
    ] {
        assert_eq!(
            document(port, arguments),
            service.get(path),
            "{arguments:?}"
        );
    }
    service.stop();
}

fn meter(external_id: &str) -> ServedMeter {
    ServedMeter {
        external_id: external_id.to_owned(),
        name: format!("meter {external_id}"),
        ..ServedMeter::default()
    }
}

#[test]
fn readings_are_found_by_meter_and_time() {
    let site = quiet_site();
    site.sql(
        "INSERT INTO meter_readings (meter_external_id, timestamp, data_point, value, unit) VALUES \
         ('Zähler & 1', datetime('now'), 'energy', 1.5, 'kWh'), ('other', datetime('now'), 'energy', 2, NULL), \
         ('Zähler & 1', '2020-01-01 00:00:00', 'energy', 3, NULL);",
    );
    let service = connected(&site);
    let port = service.port();
    let arguments = ["readings", "--meter", "Zähler & 1", "--hours", "2"];
    let shown = run(port, &arguments).done();
    let lines: Vec<&str> = shown.lines().collect();
    assert_eq!(lines.len(), 2, "{shown}");
    assert!(lines[0].starts_with("ID  MEASURED"), "{shown}");
    assert!(
        lines[1].contains("Zähler & 1  energy      1.5    kWh   no"),
        "{shown}"
    );
    assert_eq!(document(port, &arguments)["total"], 1);
    let first = run(port, &["readings", "--hours", "876000", "--limit", "2"]).done();
    assert!(
        first.contains("2 of 3; --offset 2 shows those that follow"),
        "{first}"
    );
    service.stop();
}

#[test]
fn refusals_are_told_in_the_services_words_and_as_documents() {
    let site = quiet_site();
    let service = connected(&site);
    let port = service.port();
    run(port, &["sync", "stop"]).done();
    let said = run(port, &["sync", "trigger"]).failed(1);
    assert!(said.contains("Synchronisation is stopped: "), "{said}");
    let refused = run(port, &["sync", "trigger", "--wait", "--json"]);
    let problem: serde_json::Value = serde_json::from_str(&refused.output).unwrap();
    assert_eq!(
        problem["type"],
        "urn:meterit-sync:problem:synchronisation-stopped"
    );
    refused.failed(1);
    run(port, &["sync", "start"]).done();

    let said = run(port, &["quarantine", "show", "7"]).failed(1);
    assert!(
        said.contains("There is no such thing: no quarantined reading has the id 7"),
        "{said}"
    );
    site.client_system.set_down(true);
    let said = run(port, &["heartbeat"]).failed(1);
    assert!(
        said.contains("The Client System is not reachable: "),
        "{said}"
    );
    // That it cannot be reached is what a check is there to find out.
    let link = run(port, &["connectivity", "check", "--json"]).unwell();
    let link: Value = serde_json::from_str(&link).expect("JSON");
    assert_eq!(link["isConnected"], json!(false));
    assert!(
        run(port, &["connectivity"])
            .unwell()
            .contains("unreachable")
    );
    service.stop();
}

#[test]
fn wrong_arguments_and_settings_end_with_2() {
    let free = 1;
    for arguments in [
        &["log", "--limit", "0"][..],
        &["stats", "--hours", "many"],
        &["sync"],
        &["quarantine", "requeue"],
        &["quarantine", "requeue", "7", "--all"],
        &["quarantine", "discard", "--all", "--meter", "M", "--yes"],
        &["quarantine", "list", "--reason", "boredom"],
        &["quarantine", "correct", "7"],
        &["quarantine", "correct", "7", "--value", "1,5"],
        &["status", "--url", "127.0.0.1:3002"],
        &["status", "--url", "ftp://127.0.0.1:3002"],
        &["completions", "tcsh"],
    ] {
        let told = run(free, arguments);
        assert_eq!(told.code, Some(2), "{arguments:?}: {told:?}");
        assert!(
            !told.errors.is_empty() && told.output.is_empty(),
            "{told:?}"
        );
    }
    for (port, words) in [("70000", "from 0 to 65535"), ("0", "--url")] {
        let mut status = command(free, &["status"]);
        let said = Told::of(status.env("LOCAL_API_PORT", port).output().unwrap()).failed(2);
        assert!(
            said.contains(words) && said.contains("LOCAL_API_PORT"),
            "{said}"
        );
    }
}

#[test]
fn readers_may_leave_and_full_disks_are_told() {
    let site = quiet_site();
    let service = connected(&site);
    for arguments in [
        &["status"][..],
        &["status", "--json"],
        &["completions", "bash"],
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut left = command(service.port(), arguments);
        let told = Told::of(left.stdout(writer).output().unwrap());
        assert_eq!(
            (told.code, told.errors.as_str()),
            (Some(0), ""),
            "{arguments:?}"
        );

        let full = std::fs::File::options()
            .write(true)
            .open("/dev/full")
            .unwrap();
        let mut unwritten = command(service.port(), arguments);
        let said = Told::of(unwritten.stdout(full).output().unwrap()).failed(1);
        assert!(said.contains("could not be written"), "{said}");
    }
    service.stop();
}
