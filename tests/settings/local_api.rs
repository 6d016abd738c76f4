//! Where the local API listens, for commands that only want to talk to it.

use meterit_sync::settings::Settings;

use super::site::{Site, assert_contains};

#[test]
fn nothing_but_the_address_has_to_be_set() {
    let defaults = Settings::load_local_api(&Site::bare().options).unwrap();
    assert_eq!(
        (defaults.settings.host.to_string(), defaults.settings.port),
        ("127.0.0.1".to_owned(), 3002)
    );
    let site = Site::bare()
        .with_config("local_api_host = \"::1\"\nlocal_api_port = 1")
        .with(&[("LOCAL_API_PORT", "4000"), ("BATCH_SIZE", "nonsense")]);
    let local_api = Settings::load_local_api(&site.options).unwrap().settings;
    assert_eq!(
        (local_api.host.to_string(), local_api.port),
        ("::1".to_owned(), 4000)
    );
}

#[test]
fn an_address_that_is_none_is_refused() {
    let site = Site::bare().with(&[("LOCAL_API_PORT", "70000")]);
    let refusal = Settings::load_local_api(&site.options).unwrap_err();
    assert_contains(
        &refusal.to_string(),
        &["LOCAL_API_PORT (environment)", "65535"],
    );
    let layer = Site::bare().with_config("local_api_prot = 1");
    assert!(Settings::load_local_api(&layer.options).is_err());
}
