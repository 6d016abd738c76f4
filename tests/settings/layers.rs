//! Which layer has the last word, and what the values are when nobody says anything.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::time::Duration;

use meterit_sync::settings::{DatabaseSettings, Layer, LogFormat, Settings};
use secrecy::ExposeSecret;

use super::site::{KEY, Site};

#[test]
fn the_defaults_are_those_of_the_contract() {
    let settings = Site::new().settings();
    assert_eq!(
        settings.client_system.api_url,
        "https://client.example.com/api"
    );
    assert_eq!(settings.client_system.api_key.expose_secret(), KEY);
    assert_eq!(settings.client_system.timeout, Duration::from_secs(30));
    assert_eq!(settings.sync.interval, Duration::from_secs(300));
    assert_eq!(settings.sync.batch_size, 1000);
    assert_eq!(settings.sync.max_retries, 5);
    assert!(settings.sync.auto);
    assert!(!settings.sync.keep_synchronized);
    assert_eq!(settings.sync.synchronized_retention_days, 7);
    assert_eq!(settings.sync.sync_log_retention_days, 30);
    assert_eq!(
        settings.connectivity.check_interval,
        Duration::from_secs(60)
    );
    assert_eq!(settings.heartbeat.interval, Duration::from_secs(60));
    assert_eq!(settings.config_download.interval, Duration::from_secs(3600));
    assert_eq!(settings.local_api.host, IpAddr::V4(Ipv4Addr::LOCALHOST));
    assert_eq!(settings.local_api.port, 3002);
    assert_eq!(settings.logging.filter, "info");
    assert_eq!(settings.logging.format, LogFormat::Json);
    assert!(
        matches!(&settings.database, DatabaseSettings::Sqlite { path } if *path == Path::new("data/sync.db"))
    );
}

#[test]
fn each_layer_wins_over_the_one_below_and_is_named() {
    let site = Site::new();
    assert_eq!(site.layer_of("batch_size"), Layer::Defaults);

    let site = site.with_file("production.toml", "batch_size = 10\nmax_retries = 1");
    let file = Layer::File(site.path("production.toml"));
    assert_eq!(site.settings().sync.batch_size, 10);
    assert_eq!(site.layer_of("batch_size"), file);

    let site = site.with_config("batch_size = 20");
    assert_eq!(site.settings().sync.batch_size, 20);
    assert_eq!(
        site.layer_of("batch_size"),
        Layer::File(site.path("site.toml"))
    );

    let site = site.with(&[("BATCH_SIZE", "30")]);
    assert_eq!(site.settings().sync.batch_size, 30);
    assert_eq!(site.layer_of("batch_size"), Layer::Environment);
    assert_eq!(
        site.layer_of("max_retries"),
        file,
        "other keys keep their layer"
    );
}

#[test]
fn an_empty_variable_counts_as_not_set() {
    let site = Site::new().with(&[("BATCH_SIZE", ""), ("CONTROL_TOKEN", "")]);
    assert_eq!(site.layer_of("batch_size"), Layer::Defaults);
}

#[test]
fn the_environment_chooses_its_settings() {
    let development = Site::new().with(&[("METERIT_ENVIRONMENT", "development")]);
    assert_eq!(development.settings().logging.format, LogFormat::Readable);
    assert_eq!(
        development.layer_of("log_format"),
        Layer::BuiltIn("development".to_owned())
    );

    let replaced = development.with_file("development.toml", "batch_size = 7");
    assert_eq!(
        replaced.settings().logging.format,
        LogFormat::Json,
        "the file takes the place of the built-in one"
    );
    assert_eq!(replaced.settings().sync.batch_size, 7);

    let own = Site::new()
        .with_file("site-12.toml", "batch_size = 12")
        .with(&[("METERIT_ENVIRONMENT", "site-12")]);
    assert_eq!(own.settings().sync.batch_size, 12);
}

#[test]
fn settings_set_locally_are_pinned() {
    let free = Site::new().settings().sync;
    assert!(!free.pinned_interval && !free.pinned_batch_size);
    let by_file = Site::new()
        .with_file("production.toml", "batch_size = 1000")
        .settings()
        .sync;
    assert!(!by_file.pinned_interval && by_file.pinned_batch_size);
    let by_variable = Site::new()
        .with(&[("SYNC_INTERVAL_MINUTES", "5")])
        .settings()
        .sync;
    assert!(by_variable.pinned_interval && !by_variable.pinned_batch_size);
}

#[test]
fn the_built_in_environments_pin_nothing() {
    for environment in ["development", "production"] {
        let sync = Site::new()
            .with(&[("METERIT_ENVIRONMENT", environment)])
            .settings()
            .sync;
        assert!(!sync.pinned_interval && !sync.pinned_batch_size);
    }
}

#[test]
fn settings_can_be_made_from_overrides_alone() {
    let settings = Settings::from_overrides(&[
        ("client_api_url", "http://127.0.0.1:8080"),
        ("client_api_key", KEY),
        ("local_api_port", "0"),
        ("local_api_host", "localhost"),
    ])
    .unwrap();
    assert_eq!(settings.local_api.port, 0);
    assert!(!settings.sync.pinned_batch_size);
    let error = Settings::from_overrides(&[("no_such_key", "1")]).unwrap_err();
    assert_eq!(error.problems.len(), 3);
}

#[test]
fn every_key_is_documented_in_the_defaults() {
    let documentation = include_str!("../../settings/default.toml");
    let refusal = Site::new().with_config("nonsense = 1").refusal();
    let known = refusal
        .split("known keys are: ")
        .nth(1)
        .unwrap()
        .lines()
        .next()
        .unwrap();
    for key in known.split(", ") {
        let line = documentation.lines().position(|line| {
            line.trim_start_matches('#')
                .starts_with(&format!("{key} = "))
        });
        assert!(line.is_some(), "{key} is not in default.toml");
    }
}
