//! What the service has met that shows in no step of the way, and whoever comes without its settings.

use meterit_sync::demo::client_system::FaultPath;

use super::*;

const UNREADABLE: &str = "INSERT INTO meter_readings (meter_external_id, timestamp, data_point, value) \
     VALUES ('METER-1', '2026-01-01 00:00:00', 'active_energy', 'nonsense')";

#[test]
fn a_client_system_that_takes_no_batch_is_told_without_contradiction() {
    let site = site();
    site.client_system
        .add_fault(answering(400, FaultPath::Batch, None));
    site.insert(100);
    let service = site.start();
    wait_until("the refusal", || {
        service.get("/status")["state"] == "misconfigured"
    });
    let found = Diagnosis::of(&site, service.port());
    found.names("the service says: The Client System does not take what is sent");
    let wrong = found.said.matches("What is wrong").count();
    assert_eq!(wrong, 1, "{}", found.said);
    for said in [
        "what is uploaded is refused",
        "ask whoever runs the Client System",
    ] {
        assert!(found.said.contains(said), "{said}: {}", found.said);
    }
    assert!(!found.said.contains("not there now"), "{}", found.said);
    service.stop();
}

#[test]
fn a_client_system_that_fails_is_a_finding_before_a_pass_has_ended() {
    let site = site();
    site.client_system.add_fault(failing_uploads());
    site.insert(10);
    let service = site.start();
    wait_until("a failure", || {
        let status = service.get("/status");
        status["state"] == "syncing" && status["connectivity"]["trouble"].is_string()
    });
    let found = Diagnosis::of(&site, service.port());
    found.names("the Client System answers the service, but it says 500 to /sync/readings/batch");
    service.stop();
}

#[test]
fn a_batch_that_is_never_answered_is_a_finding() {
    let site = site().set("API_TIMEOUT", "1000");
    let silence = FaultAction::Delay {
        milliseconds: 600_000,
    };
    site.client_system
        .add_fault(FaultRule::on(FaultPath::Batch, silence));
    site.insert(10);
    let service = site.start();
    wait_until("the first sending to be given up", || {
        service.get("/status")["upload_trouble"].is_object()
    });
    let status = service.get("/status");
    assert_eq!(status["state"], "syncing", "{status}");
    let found = Diagnosis::of(&site, service.port());
    found.names("readings have not been taken by the Client System since");
    let wrong = found.said.matches("What is wrong").count();
    assert_eq!(wrong, 1, "{}", found.said);
    service.stop();
}

#[test]
fn a_client_system_that_answers_all_but_uploads_is_a_finding_whatever_else_was_answered() {
    let site = site();
    site.client_system
        .add_fault(answering(503, FaultPath::Batch, None));
    site.insert(10);
    let service = site.start();
    wait_until("a failure", || {
        service.get("/status")["upload_trouble"].is_object()
    });
    service.post("/api/v1/heartbeat", None).expect_status(200);
    service.post("/api/v1/connectivity/check", None);
    let found = Diagnosis::of(&site, service.port());
    found.names("it says 503 to /sync/readings/batch");
    service.stop();
}

#[test]
fn a_client_system_that_asks_for_one_pause_after_the_other_is_a_finding_at_any_time() {
    let site = site();
    let pausing = FaultAction::Answer {
        status: 503,
        headers: vec![("Retry-After".to_owned(), "1".to_owned())],
        body: String::new(),
    };
    site.client_system
        .add_fault(FaultRule::on(FaultPath::Batch, pausing));
    site.insert(10);
    let service = site.start();
    wait_until("the second pause", || {
        site.client_system.batches().len() > 1
    });
    for _ in 0..5 {
        let found = Diagnosis::of(&site, service.port());
        assert_eq!(found.code, Some(5), "{}", found.said);
    }
    service.stop();
}

#[test]
fn a_configuration_that_cannot_be_downloaded_is_a_finding_and_in_the_sentence() {
    let site = site();
    site.client_system
        .add_fault(answering(500, FaultPath::Config, None));
    let service = site.start();
    let told = "the last download of the configuration failed (the Client System answered 500";
    wait_until("the failure to be told", || {
        let status = service.get("/status");
        status["state"] == "ok" && status["reason"].as_str().unwrap().contains(told)
    });
    let found = Diagnosis::of(&site, service.port());
    found.names("the last download of the configuration at 20");
    let wrong = found.said.matches("What is wrong").count();
    assert_eq!(wrong, 1, "{}", found.said);
    service.stop();
}

#[test]
fn a_single_reading_in_quarantine_is_a_finding() {
    let site = site();
    site.sql(UNREADABLE);
    let service = site.start();
    wait_until("the quarantine", || {
        let status = service.get("/status");
        status["state"] == "ok" && status["queue"]["quarantined"] == 1
    });
    let found = Diagnosis::of(&site, service.port());
    found.names("1 reading is in quarantine");
    assert!(!found.said.contains("1 readings"), "{}", found.said);
    let quarantine = &found.json("database.json")["queue"]["quarantine"];
    assert_eq!(quarantine[0]["reason"], "unreadable", "{quarantine}");
    assert_eq!(quarantine[0]["readings"], 1, "{quarantine}");
    service.stop();
}

#[test]
fn a_health_check_that_fails_hides_nothing_else_and_what_is_graver_comes_first() {
    let site = site().set("ENABLE_AUTO_SYNC", "false");
    for (status, path) in [
        (503, FaultPath::Health),
        (404, FaultPath::Heartbeat),
        (500, FaultPath::Config),
    ] {
        site.client_system.add_fault(answering(status, path, None));
    }
    site.sql(UNREADABLE);
    let service = site.start();
    service.post("/api/v1/sync/trigger?wait=true", None);
    service.post("/api/v1/heartbeat", None);
    wait_until("all of them", || {
        let status = service.get("/status");
        status["queue"]["quarantined"] == 1
            && status["heartbeat"]["failing_since"].is_string()
            && status["config"]["last_error"].is_string()
            && status["connectivity"]["trouble"].is_string()
    });
    let all = [
        "the Client System answers /health with 503",
        "to upload after that, start a pass with POST /api/v1/sync/trigger",
        "the service has sent 1 heartbeat in a row that the Client System did not accept",
        "the last download of the configuration",
        "1 reading is in quarantine",
    ];
    let found = Diagnosis::of(&site, service.port());
    found.names(all[0]);
    for words in all {
        assert!(found.said.contains(words), "{words}: {}", found.said);
    }
    let wrong = found.said.matches("What is wrong").count();
    assert_eq!(wrong, 4, "{}", found.said);

    site.client_system
        .add_fault(answering(401, FaultPath::Auth, None));
    let found = Diagnosis::of(&site, service.port());
    found.names("the Client System does not accept the API key (401");
    for words in [all[0], all[4]] {
        assert!(found.said.contains(words), "{words}: {}", found.said);
    }
    service.stop();
}

#[test]
fn a_health_check_that_is_not_well_is_logged_once() {
    let site = site().set("CONNECTIVITY_CHECK_INTERVAL_MS", "1000");
    site.client_system
        .add_fault(answering(503, FaultPath::Health, None));
    let service = site.start();
    let told = "the Client System answers, but its health check says 503";
    wait_until("the trouble to be told", || {
        let reason = service.get("/status")["reason"].to_string();
        reason.contains(told)
    });
    for _ in 0..3 {
        service.post("/api/v1/heartbeat", None).expect_status(200);
        service.post("/api/v1/connectivity/check", None);
        let reason = service.get("/status")["reason"].to_string();
        assert!(reason.contains(told), "{reason}");
    }
    let log = service.stop();
    let warned = log.iter().filter(|line| line.contains("but is not well"));
    assert_eq!(warned.count(), 1, "{log:#?}");
}

#[test]
fn heartbeats_that_are_not_accepted_are_a_finding() {
    let site = site().set("CLIENT_API_KEY", KEY);
    site.client_system
        .add_fault(answering(404, FaultPath::Heartbeat, None));
    let service = site.start();
    service.wait_until_connected();
    service.post("/api/v1/heartbeat", None);
    wait_until("rest", || service.get("/status")["state"] == "ok");
    let found = Diagnosis::of(&site, service.port());
    found.names("the service has sent 1 heartbeat in a row that the Client System did not accept");
    assert!(found.first().contains("answered 404"), "{}", found.said);
    // Once is enough where the key is to blame for everything.
    site.client_system.clear_faults();
    site.client_system.set_api_key("another");
    service.post("/api/v1/heartbeat", None);
    let found = Diagnosis::of(&site, service.port());
    found.names("does not accept the API key");
    let wrong = found.said.matches("What is wrong").count();
    assert_eq!(wrong, 1, "{}", found.said);
    service.stop();
}

#[test]
fn whoever_has_not_the_settings_of_a_packaged_service_is_told_how_to_get_them() {
    let site = site();
    for name in ["diagnose", "check-config"] {
        let mut command = Command::new(PROGRAM);
        command.arg(name);
        site.furnish(&mut command);
        command.env_remove("CLIENT_API_KEY");
        let output = command.output().unwrap();
        let said = text(&output);
        assert_eq!(output.status.code(), Some(2), "{said}");
        let by_hand = format!(
            "sudo env CLIENT_API_KEY_FILE=/etc/meterit-sync/client-api-key meterit-sync --config \
             /etc/meterit-sync/settings.toml {name} "
        );
        assert!(said.contains(&by_hand), "{said}");
        assert!(said.contains("/etc/meterit-sync/environment"), "{said}");
    }
}
