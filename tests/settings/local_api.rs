//! Where the local API listens, for commands that only want to talk to it.

use meterit_sync::settings::Settings;
use secrecy::{ExposeSecret, SecretString};

use super::site::{Site, assert_contains};

const CONTROL: &str = "a-control-token-of-28-letters";
const READ: &str = "a-read-token-of-25-letters";

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

#[test]
fn another_address_than_loopback_needs_a_control_token() {
    let lan = Site::new().with(&[("LOCAL_API_HOST", "192.0.2.7")]);
    assert_contains(
        &lan.refusal(),
        &[
            "LOCAL_API_HOST (environment): given `192.0.2.7`",
            "other machines could reach the local API there",
            "CONTROL_TOKEN or CONTROL_TOKEN_FILE",
        ],
    );
    let output = lan.run(&["run"]);
    assert_eq!(output.status.code(), Some(2));
    assert_contains(
        &String::from_utf8_lossy(&output.stderr),
        &["nothing was started", "CONTROL_TOKEN"],
    );
    let guarded = lan.with(&[("CONTROL_TOKEN", CONTROL)]);
    assert_eq!(guarded.settings().local_api.host.to_string(), "192.0.2.7");
    let warnings = guarded.loaded().report.warnings;
    assert_contains(&warnings[0], &["LOCAL_TLS_CERT_FILE", "readably"]);
    let encrypted = guarded.with(&[
        ("LOCAL_TLS_CERT_FILE", "cert.pem"),
        ("LOCAL_TLS_KEY_FILE", "key.pem"),
    ]);
    assert!(encrypted.loaded().report.warnings.is_empty());
    // Whoever only talks to it may know as little as this.
    let client = Site::bare().with(&[("LOCAL_API_HOST", "192.0.2.7"), ("READ_TOKEN", READ)]);
    let client = Settings::load_local_api(&client.options).unwrap().settings;
    assert!(client.read_token.is_some() && client.control_token.is_none());
}

#[test]
fn tokens_come_from_files_as_well_and_are_never_shown() {
    let site = Site::new()
        .with_file("control", &format!("{CONTROL}\n"))
        .with_file("read", READ);
    let [control, read] =
        ["control", "read"].map(|name| site.path(name).to_string_lossy().into_owned());
    let site = site.with(&[("CONTROL_TOKEN_FILE", &control), ("READ_TOKEN_FILE", &read)]);
    let local_api = site.settings().local_api;
    let exposed = |token: Option<SecretString>| token.map(|token| token.expose_secret().to_owned());
    assert_eq!(exposed(local_api.control_token).as_deref(), Some(CONTROL));
    assert_eq!(exposed(local_api.read_token).as_deref(), Some(READ));
    let loaded = site.loaded();
    let everything = format!("{loaded:?}\n{}", loaded.report);
    assert!(!everything.contains(CONTROL) && !everything.contains(READ));
    assert_eq!(loaded.report.row("read_token").unwrap().value, "<redacted>");

    let both = site.with(&[("CONTROL_TOKEN", CONTROL)]).refusal();
    assert_contains(&both, &["CONTROL_TOKEN_FILE", "only one of the two"]);
    assert!(!both.contains(CONTROL), "{both}");
}

#[test]
fn tokens_that_protect_nothing_are_refused() {
    let alone = Site::new().with(&[("READ_TOKEN", READ)]).refusal();
    assert_contains(
        &alone,
        &["READ_TOKEN (environment)", "without CONTROL_TOKEN"],
    );
    let same = Site::new()
        .with(&[("CONTROL_TOKEN", CONTROL), ("READ_TOKEN", CONTROL)])
        .refusal();
    assert_contains(&same, &["READ_TOKEN", "it is the control token"]);
    assert!(!alone.contains(READ) && !same.contains(CONTROL));
    let shortest = &CONTROL[..16];
    let short = &CONTROL[..15];
    let in_file = Site::new().with_file("token", &format!("  {short}\n"));
    let path = in_file.path("token").to_string_lossy().into_owned();
    for (site, key) in [
        (
            Site::new().with(&[("CONTROL_TOKEN", short)]),
            "CONTROL_TOKEN (environment)",
        ),
        (
            in_file.with(&[("CONTROL_TOKEN_FILE", &path)]),
            "CONTROL_TOKEN_FILE (environment)",
        ),
        (
            Site::new().with(&[("CONTROL_TOKEN", CONTROL), ("READ_TOKEN", short)]),
            "READ_TOKEN (environment)",
        ),
    ] {
        let refusal = site.refusal();
        assert_contains(&refusal, &[key, "fewer than 16 characters", "openssl rand"]);
        assert!(!refusal.contains(short), "{refusal}");
    }
    let taken = Site::new().with(&[("CONTROL_TOKEN", shortest)]).settings();
    assert!(taken.local_api.control_token.is_some());
}

#[test]
fn the_frontend_starts_uploads_without_a_token_and_looks_only_where_that_is_set() {
    let local_api = Site::new().settings().local_api;
    assert!(local_api.frontend_without_token && !local_api.frontend_reads_without_token);
    let site = Site::new().with(&[
        ("FRONTEND_WITHOUT_TOKEN", "false"),
        ("FRONTEND_READS_WITHOUT_TOKEN", "true"),
    ]);
    let local_api = site.settings().local_api;
    assert!(!local_api.frontend_without_token && local_api.frontend_reads_without_token);
}
