//! What the service has met that shows in no step of the way, and whoever comes without its settings.

use meterit_sync::demo::client_system::FaultPath;

use super::*;

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
