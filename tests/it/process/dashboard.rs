//! The dashboard in a real browser, through what sites go through: outages, bad readings, an operator's hand, long queues
//! and none.

mod viewer;

use meterit_sync::demo::client_system::{
    FaultAction, FaultPath, FaultRule, Naming, ReadingPattern,
};
use serde_json::json;

use self::viewer::Viewer;
use super::{service::Service, site::Site, waiting::wait_until};

/// A name that would run as a script if it were taken for more than a name.
const HOSTILE: &str = "<img src=x onerror=alert(1)>";

/// A site with meters, one of a name that is none, and with a past: an outage, and an hour in which nothing ran.
fn site_with_a_past() -> (Site, Service) {
    let site = Site::new();
    site.sql(&format!(
        "INSERT INTO meters (external_id, name, last_reading_at) \
             SELECT 'METER-' || value, 'Floor ' || value, datetime('now', '-' || (value * value * 37) || ' seconds') \
             FROM generate_series(1, 26); \
         INSERT INTO meters (external_id, name) VALUES ('HOSTILE', '{HOSTILE}');"
    ));
    let service = site.start();
    service.wait_until_connected();
    site.sql(
        "INSERT INTO status_samples (minute, pending, oldest_pending_age_s, uploaded, offline_s) \
             SELECT unixepoch() / 60 - value, \
                 iif(value BETWEEN 300 AND 380, (381 - value) * 343, value % 97), \
                 iif(value BETWEEN 300 AND 380, (381 - value) * 60, value % 60), \
                 iif(value BETWEEN 300 AND 380, 0, iif(value = 299, 27783, 340 + value * 7919 % 97)), \
                 iif(value BETWEEN 300 AND 380, 60, 0) \
             FROM generate_series(2, 10079) WHERE value NOT BETWEEN 900 AND 960;",
    );
    (site, service)
}

#[test]
fn the_sentence_follows_an_outage_and_its_end_without_a_reload() {
    let (site, service) = site_with_a_past();
    wait_until("a first pass", || {
        !service.get("/status")["last_pass"].is_null()
    });
    let mut viewer = Viewer::at(&service);
    viewer.finds("window.unbroken = true");
    viewer.reads("#verdict .state", "OK");
    viewer.reads("#verdict .reason", "All readings are uploaded");
    viewer.reads("#meters-list", HOSTILE);
    viewer.reads(
        "[data-chart=link] .summary",
        "1 outage, the longest 1 h 21 min",
    );
    viewer.finds_no_barrier();
    viewer.photographs("ok");

    site.client_system.set_down(true);
    site.insert(1_204);
    viewer.clicks("[data-action=check]");
    viewer.reads("#outcome-words", "The Client System cannot be reached");
    viewer.reads("#verdict .state", "Offline");
    viewer.reads(
        "#verdict .reason",
        "1,204 readings are kept in the Sync Database",
    );
    viewer.reads("#verdict .next", "Next attempt to reach it");
    viewer.reads("#spoken", "Offline: The Client System cannot be reached");
    viewer.waits_until("document.title.startsWith('Offline')");
    viewer.waits_until("document.querySelector('link[rel=icon]').href.endsWith('/bad.svg')");
    viewer.clicks("[data-action=trigger]");
    viewer.reads("#outcome-words", "The Client System is not reachable: ");
    viewer.finds_no_barrier();
    viewer.photographs("offline");

    site.client_system.set_down(false);
    viewer.reads("#verdict .state", "OK");
    viewer.reads("#figures", "all uploaded");
    viewer.reads("#passes-list", "1,204");
    assert_eq!(viewer.finds("window.unbroken"), json!(true));
    assert_eq!(site.client_system.delivered(), (1_204, 1_204));
    viewer.leaves();
    service.stop();
}

#[test]
fn a_client_system_that_fails_is_told_before_a_pass_has_ended() {
    let site = Site::new()
        .set("MAX_RETRIES", "20")
        .set("HEARTBEAT_INTERVAL_MS", "1000");
    for (path, status, words) in [
        (FaultPath::Batch, 500, "out of order"),
        (FaultPath::Heartbeat, 404, "no such site"),
    ] {
        let action = FaultAction::Answer {
            status,
            headers: Vec::new(),
            body: json!({ "message": words }).to_string(),
        };
        site.client_system.add_fault(FaultRule::on(path, action));
    }
    site.insert(5);
    let service = site.start();
    service.wait_until_connected();
    let mut viewer = Viewer::at(&service);
    viewer.reads("#verdict .state", "Syncing");
    viewer.reads(
        "#verdict .reason",
        "0 readings delivered so far, 5 to go; the last sending failed (the Client System failed (500): out of order), and it is",
    );
    viewer.reads("#figures", "Answers, not well");
    viewer.reads(
        "#client-system-facts",
        "in a row: the Client System answered 404: no such site",
    );
    viewer.finds_no_barrier();
    viewer.photographs("failing");

    let ill = FaultAction::Answer {
        status: 503,
        headers: Vec::new(),
        body: "<h1>Service Unavailable</h1>".to_owned(),
    };
    site.client_system
        .set_faults(vec![FaultRule::on(FaultPath::Health, ill)]);
    viewer.clicks("[data-action=check]");
    viewer.reads(
        "#outcome-words",
        "The Client System answers, but its health check says 503 (Service Unavailable) and it says 500 to \
         /sync/readings/batch (out of order).",
    );
    site.client_system.clear_faults();
    site.wait_until_drained(5);
    viewer.clicks("[data-action=check]");
    viewer.reads("#outcome-words", "The Client System answers.");
    viewer.reads("#verdict .state", "OK");
    viewer.reads("#figures", "Up ");
    viewer.leaves();
    service.stop();
}

#[test]
fn readings_in_quarantine_are_decided_on_with_a_confirmation() {
    let site = Site::new();
    let contains = Some(ReadingPattern {
        data_point: Some("nonsense".to_owned()),
        ..ReadingPattern::default()
    });
    let naming = Naming::Every;
    let refusal = FaultRule {
        contains,
        ..FaultRule::on(FaultPath::Batch, FaultAction::Refuse { naming })
    };
    site.client_system.set_faults(vec![refusal]);
    site.insert(100);
    site.sql(
        "UPDATE meter_readings SET data_point = 'nonsense' WHERE id IN (17, 34); \
         UPDATE meter_readings SET timestamp = 'once' WHERE id = 51;",
    );
    let service = site.start();
    wait_until("the quarantine to fill", || {
        service.get("/status")["queue"]["quarantined"] == 3
            && service.get("/status")["queue"]["pending"] == 0
    });
    site.sql(
        "INSERT INTO quarantined_readings (reading_id, meter_external_id, timestamp, data_point, value, \
             retry_count, reason, message, quarantined_at) \
         VALUES (9001, 'METER-DOUBT', '2026-01-01 00:00:00.000', 'active_energy', '7.5', 0, 'possibly_stored', \
             'inserted 99 of 100', datetime('now'));",
    );
    site.client_system.clear_faults();
    let mut viewer = Viewer::at(&service);
    viewer.reads("#quarantine-list", "4 readings are set aside");
    viewer.finds_no_barrier();
    viewer.photographs("quarantine");

    // Thought better of.
    let discard = "[data-decision=discard][data-reading*='17.125']";
    viewer.clicks(discard);
    viewer.reads("#confirm[open]", "METER-17 nonsense 17.125 is removed");
    viewer.photographs_window("confirmation");
    viewer.presses(&["Escape"]);
    viewer.misses("#confirm[open]");
    assert_eq!(service.get("/api/v1/quarantine")["total"], 4);
    assert_eq!(
        viewer.finds("document.activeElement.dataset.decision"),
        "discard"
    );

    viewer.clicks(discard);
    viewer.clicks("#confirm-yes");
    viewer.reads("#outcome-words", "METER-17 nonsense 17.125 is discarded");
    viewer.misses(discard);
    viewer.reads("#quarantine-list", "3 readings are set aside");
    assert_eq!(
        viewer.finds("document.activeElement.id"),
        "quarantine-title"
    );

    viewer.clicks("[data-decision=requeue][data-reading*='34.125']");
    viewer.reads("#confirm[open]", "returns to the queue");
    viewer.clicks("#confirm-yes");
    viewer.reads(
        "#outcome-words",
        "METER-14 nonsense 34.125 is back in the queue",
    );
    viewer.reads("#quarantine-list", "2 readings are set aside");

    // What may be there already is sent only by somebody who says so.
    viewer.clicks("[data-decision=requeue][data-reading*='DOUBT']");
    viewer.reads("#confirm[open]", "it may be there twice");
    assert_eq!(
        viewer.finds("document.getElementById('confirm-yes').disabled"),
        json!(true)
    );
    viewer.finds_no_barrier();
    viewer.clicks("#confirm-accept");
    viewer.clicks("#confirm-yes");
    viewer.reads(
        "#outcome-words",
        "METER-DOUBT active_energy 7.5 is back in the queue",
    );

    // What the service refuses is told in its own words.
    viewer.clicks("[data-decision=requeue][data-reading*='51.125']");
    viewer.clicks("#confirm-yes");
    viewer.reads("#outcome-words", "cannot be sent");
    viewer.reads("#quarantine-list", "1 reading is set aside");

    viewer.clicks("[data-action=trigger]");
    wait_until("what was re-queued to arrive", || {
        site.client_system.delivered() == (99, 99)
    });
    viewer.reads("#quarantine-list", "1 reading is set aside");
    viewer.leaves();
    service.stop();
}

#[test]
fn buttons_do_what_they_say_and_tell_how_it_went() {
    let site = Site::new();
    let service = site.start();
    service.wait_until_connected();
    let mut viewer = Viewer::at(&service);
    viewer.clicks("[data-action=stop]");
    viewer.reads(
        "#outcome-words",
        "Uploading is stopped; all readings are kept.",
    );
    viewer.reads("#verdict .state", "Stopped");
    assert_eq!(service.get("/status")["sync"]["isRunning"], false);
    viewer.reads("#switch", "Start uploading");
    viewer.clicks("[data-action=trigger]");
    viewer.reads("#outcome-words", "ynchronisation is stopped");
    viewer.clicks("[data-action=start]");
    viewer.reads("#outcome-words", "Uploading is started.");
    viewer.reads("#verdict .state", "OK");
    viewer.reads("#switch", "Stop uploading");

    // What comes soon after a pass of its own waits for somebody to ask.
    site.insert(1);
    site.wait_until_drained(1);
    site.insert(7);
    viewer.clicks("[data-action=trigger]");
    viewer.reads("#outcome-words", ": 7 readings uploaded in ");
    viewer.clicks("[data-action=check]");
    viewer.reads("#outcome-words", "The Client System answers.");
    viewer.clicks("[data-action=heartbeat]");
    viewer.reads("#outcome-words", "The Client System took the heartbeat.");
    viewer.clicks("[data-action=download]");
    viewer.reads("#outcome-words", "The configuration is downloaded");
    viewer.clicks("#outcome-close");
    viewer.waits_until("document.getElementById('outcome-words').textContent === ''");

    viewer.clicks("[data-hours='168']");
    viewer.waits_until("location.search.includes('hours=168')");
    viewer.clicks("#settings summary");
    viewer.reads("#settings details[open]", "client_api_url");
    viewer.reads("#settings details[open]", "<redacted>");
    viewer.finds_no_barrier();
    viewer.leaves();
    service.stop();
}

#[test]
fn a_million_readings_are_shown_as_well_as_none() {
    let site = Site::new();
    let service = site.start();
    service.wait_until_connected();
    let mut viewer = Viewer::at(&service);
    viewer.reads("#figures", "nothing waits");
    viewer.reads("#meters-list", "No active meter is known yet");
    viewer.reads("#quarantine-list", "Nothing is set aside");
    viewer.finds_no_barrier();
    viewer.photographs("empty");

    site.client_system.set_down(true);
    site.insert(1_000_000);
    viewer.clicks("[data-action=check]");
    viewer.reads("#figures", "1,000,000");
    viewer.reads("#verdict .reason", "1,000,000 readings are kept");
    viewer.leaves();
    let mut other = Viewer::at(&service);
    other.reads("#figures", "1,000,000");
    other.photographs("million");
    other.leaves();
    service.stop();
}

#[test]
fn it_can_be_used_by_keyboard_and_read_without_a_script() {
    let (_site, service) = site_with_a_past();
    let mut viewer = Viewer::at(&service);
    viewer.presses(&["Tab"]);
    assert_eq!(
        viewer.finds("document.activeElement.textContent"),
        "Skip to the content"
    );
    viewer.presses(&["Enter"]);
    viewer.waits_until("document.activeElement.id === 'main'");
    viewer.presses(&["Tab"]);
    assert_eq!(
        viewer.finds("document.activeElement.dataset.action"),
        "trigger"
    );
    let outline = "getComputedStyle(document.activeElement).outlineStyle";
    assert_eq!(
        viewer.finds(outline),
        "solid",
        "where the focus is can be seen"
    );
    viewer.presses(&["Enter"]);
    viewer.reads("#outcome-words", "Pass ");
    viewer.clicks("#meters-list a[data-view]");
    viewer.reads("#meters-list", "11 to 20 of 27");

    let plain = viewer.does(json!({"do": "plainly"}))["text"].clone();
    let plain = plain.as_str().expect("a text");
    for told in [
        "OK",
        "Without JavaScript",
        "Floor 26",
        HOSTILE,
        "1 outage, the longest 1 h 21 min",
        "UTC",
    ] {
        assert!(plain.contains(told), "{told}: {plain}");
    }
    assert!(!plain.contains("Sync now"), "{plain}");
    viewer.leaves();
    service.stop();
}

#[test]
fn a_service_that_is_gone_is_told_and_its_return_as_well() {
    let site = Site::new().set("LOCAL_API_PORT", &free_port().to_string());
    let service = site.start();
    service.wait_until_connected();
    let mut viewer = Viewer::at(&service);
    service.stop();
    viewer.reads("#lost", "The service has not answered since");
    viewer.photographs("lost");
    let service = site.start();
    service.wait_until_connected();
    viewer.waits_until("document.getElementById('lost').textContent === ''");
    viewer.reads("#verdict .state", "OK");
    service.stop();
}

fn free_port() -> u16 {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    taken.local_addr().expect("an address").port()
}

#[test]
fn a_person_logs_in_and_may_do_what_the_token_may_do() {
    let (control, read) = ("control-token-of-a-person", "read-token-of-a-person");
    let site = Site::new()
        .set("CONTROL_TOKEN", control)
        .set("READ_TOKEN", read);
    let service = site.start();
    service.port();
    let mut viewer = Viewer::outside(&service);
    viewer.goes_to("");
    viewer.reads("label", "Token");
    viewer.finds_no_barrier();
    viewer.photographs("login");
    assert_eq!(viewer.finds("document.activeElement.id"), "token");

    viewer.types("#token", "not-the-token");
    viewer.reads("#trouble", "none of the service's");
    viewer.finds_no_barrier();
    viewer.photographs("login-refused");
    viewer.types("#token", read);
    viewer.waits_until("document.documentElement.classList.contains('live')");
    viewer.reads("#looks-only", "You may look here");
    viewer.misses("[data-action]");
    viewer.finds_no_barrier();
    viewer.photographs("looks-only");
    let refused = "fetch('/api/v1/sync/stop', { method: 'POST' }).then(({ status }) => status)";
    assert_eq!(viewer.finds(refused), json!(403));

    viewer.clicks("#log-out");
    viewer.reads("label", "Token");
    viewer.types("#token", control);
    viewer.waits_until("document.documentElement.classList.contains('live')");
    assert_eq!(viewer.finds("document.cookie"), "", "no script gets at it");
    viewer.reads("#verdict .state", "OK");
    viewer.clicks("[data-action=stop]");
    viewer.reads("#outcome-words", "Uploading is stopped");
    // By the events that come in the session.
    viewer.reads("#verdict .state", "Stopped");
    viewer.clicks("[data-action=start]");
    viewer.reads("#outcome-words", "Uploading is started.");
    viewer.finds_no_barrier();
    viewer.photographs("logged-in");

    // Somebody else logs this person out, and the page notices by itself.
    let gone = "fetch('/logout', { method: 'POST' }).then(() => 'gone')";
    assert_eq!(viewer.finds(gone), "gone");
    viewer.reads("label", "Token");
    viewer.leaves();
    service.stop();
}

#[test]
fn a_page_at_another_port_of_the_machine_cannot_use_a_session() {
    let site = Site::new().set("CONTROL_TOKEN", "control-token-of-a-person");
    let service = site.start();
    service.port();
    let mut viewer = Viewer::outside(&service);
    viewer.goes_to("login");
    viewer.types("#token", "control-token-of-a-person");
    viewer.waits_until("document.documentElement.classList.contains('live')");
    let neighbour = super::frontend::served("<!doctype html><title>Neighbour</title>", &service);
    viewer.goes_to_port(neighbour);
    let target = format!("http://127.0.0.1:{}/api/v1/sync/stop", service.port());
    let asked = format!(
        "fetch('{target}', {{ method: 'POST', credentials: 'include' }}).then(({{ status }}) => status, () => 'blocked')"
    );
    // The browser keeps the answer from a page that sends cookies along; the service has refused before.
    assert_eq!(viewer.finds(&asked), "blocked");
    viewer.goes_to("");
    viewer.reads("#switch", "Stop uploading");
    let refused = viewer.finds(
        "fetch('/status').then((answer) => answer.json()).then((status) => [status.sync.isRunning, status.refused_calls.no_token])",
    );
    assert_eq!(refused, json!([true, 1]));
    service.stop();
}
