//! What is refused, and in which words.

use std::path::PathBuf;

use super::site::{Site, assert_contains};

#[test]
fn layers_that_cannot_be_read_are_refused() {
    let absent = Site::new().with(&[("METERIT_ENVIRONMENT", "staging")]);
    assert_contains(
        &absent.refusal(),
        &["METERIT_ENVIRONMENT=staging", "staging.toml"],
    );

    let outside = Site::new().with(&[("METERIT_ENVIRONMENT", "../secrets")]);
    assert_contains(
        &outside.refusal(),
        &["METERIT_ENVIRONMENT=../secrets", "allowed"],
    );

    let no_directory = Site::new().with(&[("METERIT_SETTINGS_DIR", "/nowhere/at/all")]);
    assert_contains(
        &no_directory.refusal(),
        &["METERIT_SETTINGS_DIR=/nowhere/at/all"],
    );

    let mut no_config = Site::new();
    no_config.options.config_file = Some(PathBuf::from("/nowhere/site.toml"));
    assert_contains(
        &no_config.refusal(),
        &["--config /nowhere/site.toml", "cannot be read"],
    );
}

#[test]
fn missing_required_settings_are_named() {
    assert_contains(
        &Site::bare().refusal(),
        &[
            "CLIENT_API_URL: missing",
            "CLIENT_API_KEY: missing",
            "allowed is",
        ],
    );
}

#[test]
fn unknown_keys_are_refused_with_the_known_ones() {
    let refusal = Site::new()
        .with_config("batchsize = 5\nBATCH_SIZE = 5\n[sync]\nbatch_size = 5")
        .refusal();
    assert_contains(
        &refusal,
        &[
            "batchsize (",
            "site.toml): is not a known key",
            "BATCH_SIZE (",
            "written `batch_size`",
            "sync (",
            "known keys are: client_api_url",
        ],
    );
}

#[test]
fn values_of_the_wrong_kind_or_out_of_range_are_refused_with_what_is_allowed() {
    let cases = [
        (
            "BATCH_SIZE",
            "0",
            "given `0`; allowed is a whole number of readings from 1 to 100000",
        ),
        ("BATCH_SIZE", "-1", "given `-1`"),
        (
            "SYNC_INTERVAL_MINUTES",
            "abc",
            "given `abc`; allowed is a whole number of minutes from 1 to 1440",
        ),
        (
            "API_TIMEOUT",
            "999",
            "a whole number of milliseconds from 1000 to 600000",
        ),
        ("MAX_RETRIES", "21", "a whole number from 0 to 20"),
        ("MAX_RETRIES", "1.5", "a whole number from 0 to 20"),
        (
            "HEARTBEAT_INTERVAL_MS",
            "99999999999999999999",
            "from 1000 to 86400000",
        ),
        ("LOCAL_API_PORT", "65536", "from 0 to 65535"),
        (
            "ENABLE_AUTO_SYNC",
            "maybe",
            "given `maybe`; allowed is true or false",
        ),
        (
            "LOG_LEVEL",
            "verbose",
            "`verbose` is no level; allowed is error, warn",
        ),
        ("LOG_FORMAT", "xml", "allowed is json or readable"),
        (
            "LOCAL_API_HOST",
            "0.0.0.0",
            "without a control token any of them could control the service; allowed is a loopback",
        ),
        (
            "LOCAL_API_HOST",
            "somewhere",
            "it is no IP address; allowed is a loopback",
        ),
        ("LOCAL_API_NAMES", "edge:3002", "`edge:3002` is no name"),
        ("CORS_ALLOWED_ORIGINS", "*", "every page of the world"),
        (
            "LOCAL_TLS_CERT_FILE",
            "a.pem",
            "LOCAL_TLS_KEY_FILE is missing",
        ),
        (
            "LOCAL_TLS_KEY_FILE",
            "a.key",
            "LOCAL_TLS_CERT_FILE is missing",
        ),
        ("CLIENT_API_URL", "ftp://host", "does not begin with http"),
        (
            "CLIENT_API_URL",
            "client.example.com",
            "does not begin with http",
        ),
        ("CLIENT_API_URL", "https://", "allowed is an address"),
        ("CLIENT_API_URL", "https://host:99999", "port"),
        ("CLIENT_API_URL", "https://host?x=1", "query"),
        (
            "DATABASE_URL",
            "mysql://host/db",
            "begins with none of sqlite:",
        ),
        ("DATABASE_URL", "sqlite::memory:", "would lose its readings"),
        ("DATABASE_URL", "sqlite:", "names no file"),
        ("DATABASE_URL", "postgres:///db", "it has no host"),
        ("DATABASE_URL", "postgres://host:x/db", "port"),
    ];
    for (name, value, expected) in cases {
        let refusal = Site::new().with(&[(name, value)]).refusal();
        assert_contains(&refusal, &[&format!("{name} (environment): "), expected]);
    }
}

#[test]
fn a_number_in_quotes_is_no_number_in_a_file() {
    let refusal = Site::new()
        .with_config("batch_size = \"5\"\nenable_auto_sync = 1")
        .refusal();
    assert_contains(
        &refusal,
        &[
            "site.toml): given the text `5`; allowed is a whole number",
            "site.toml): given the number `1`; allowed is true or false",
        ],
    );
}

#[test]
fn all_problems_are_told_at_once() {
    let error = Site::bare()
        .with_config("max_retries = 99\nnonsense = true")
        .with(&[("BATCH_SIZE", "0"), ("LOG_LEVEL", "loud")])
        .load()
        .unwrap_err();
    let mut keys: Vec<&str> = error
        .problems
        .iter()
        .map(|problem| problem.key.as_str())
        .collect();
    keys.sort_unstable();
    assert_eq!(
        keys,
        [
            "BATCH_SIZE",
            "CLIENT_API_KEY",
            "CLIENT_API_URL",
            "LOG_LEVEL",
            "max_retries",
            "nonsense"
        ]
    );
}
