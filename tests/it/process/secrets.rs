//! What must never be read in a log.

use meterit_sync::demo::client_system::ClientSystemOptions;

use super::site::Site;

const KEY: &str = "a-key-that-nobody-may-read-7f3a91";

#[test]
fn the_key_is_never_logged_not_even_when_everything_is() {
    let options = ClientSystemOptions {
        api_key: KEY.to_owned(),
        ..ClientSystemOptions::default()
    };
    let site = Site::with_client_system(options)
        .set("LOG_LEVEL", "trace")
        .set("HEARTBEAT_INTERVAL_MS", "1000");
    let service = site.start();
    service.wait_until_connected();
    site.insert(10);
    for action in [
        "sync/trigger?wait=true",
        "heartbeat",
        "config/download",
        "connectivity/check",
    ] {
        service
            .post(&format!("/api/v1/{action}"), None)
            .expect_status(200);
    }
    let log = service.stop();

    assert!(
        log.iter().any(|line| line.contains("\"TRACE\"")),
        "everything is logged"
    );
    let requests = site.client_system.ledger().requests;
    assert!(
        requests.len() >= 4,
        "every kind of call was made: {requests:?}"
    );
    for line in log {
        assert!(!line.contains(KEY), "{line}");
    }
}
