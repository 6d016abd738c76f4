//! Where the key comes from, and that no secret is ever shown.

use meterit_sync::settings::Layer;
use secrecy::ExposeSecret;

use super::site::{KEY, REQUIRED, Site, assert_contains};

#[test]
fn a_file_that_is_no_toml_is_refused_without_quoting_it() {
    let site = Site::bare().with_config(&format!("batch_size = 5\nclient_api_key = \"{KEY}\n"));
    let refusal = site.refusal();
    assert_contains(&refusal, &["site.toml", "not valid TOML", "line 2"]);
    assert!(
        !refusal.contains("missing"),
        "nobody knows what the file would have set: {refusal}"
    );
    assert!(!refusal.contains(KEY), "{refusal}");
}

#[test]
fn the_key_may_come_from_a_file() {
    let site = Site::bare().with_file("key", "  key-from-file\n");
    let path = site.path("key").to_string_lossy().into_owned();
    let site = site.with(&[REQUIRED[0], ("CLIENT_API_KEY_FILE", &path)]);
    assert_eq!(
        site.settings().client_system.api_key.expose_secret(),
        "key-from-file"
    );
    assert_eq!(
        site.layer_of("client_api_key"),
        Layer::SecretFile(site.path("key"))
    );

    let site = site.with_config("client_api_key = \"lower\"");
    assert_eq!(
        site.settings().client_system.api_key.expose_secret(),
        "key-from-file",
        "the higher layer wins"
    );
    let site = site.with(&[("CLIENT_API_KEY", KEY)]);
    assert_contains(
        &site.refusal(),
        &["CLIENT_API_KEY_FILE (environment)", "only one of the two"],
    );
}

#[test]
fn a_key_that_cannot_be_used_is_refused_and_not_shown() {
    let site = Site::new()
        .with_file("empty", "\n")
        .with_file("two-lines", "secret-a\nsecret-b");
    for (name, expected) in [
        ("empty", "the file is empty"),
        ("two-lines", "cannot travel in an HTTP header"),
        ("absent", "cannot be read"),
    ] {
        let path = site.path(name).to_string_lossy().into_owned();
        let refusal = Site::bare()
            .with(&[REQUIRED[0], ("CLIENT_API_KEY_FILE", &path)])
            .refusal();
        assert_contains(&refusal, &["CLIENT_API_KEY_FILE", expected]);
        assert!(!refusal.contains("secret-"), "{refusal}");
    }
    let refusal = Site::new()
        .with(&[("CLIENT_API_KEY", "schlüssel")])
        .refusal();
    assert_contains(&refusal, &["CLIENT_API_KEY (environment)"]);
    assert!(!refusal.contains("schlüssel"), "{refusal}");
}

#[test]
fn a_token_of_blanks_is_no_token_that_was_left_out() {
    for token in [" ", "                    ", "\t"] {
        let refusal = Site::new().with(&[("CONTROL_TOKEN", token)]).refusal();
        assert_contains(&refusal, &["CONTROL_TOKEN (environment)", "it is empty"]);
    }
}

#[test]
fn secrets_appear_nowhere() {
    let site = Site::new().with(&[(
        "DATABASE_URL",
        "postgres://sync:hidden@db/x?sslpassword=hidden",
    )]);
    let loaded = site.loaded();
    let everything = format!("{loaded:?}\n{}", loaded.report);
    assert!(
        !everything.contains(KEY) && !everything.contains("hidden"),
        "{everything}"
    );
    assert_eq!(
        loaded.report.row("client_api_key").unwrap().value,
        "<redacted>"
    );

    for url in [
        "postgres://sync:hidden@db:port/x",
        "postgres:sync:hidden@db",
        "mysql://sync:hid/hidden@db",
    ] {
        let refusal = Site::new().with(&[("DATABASE_URL", url)]).refusal();
        assert!(!refusal.contains("hid"), "{refusal}");
    }
    let refusal = Site::new()
        .with(&[("CLIENT_API_URL", "https://sync:hidden@host")])
        .refusal();
    assert_contains(
        &refusal,
        &[
            "CLIENT_API_URL",
            "user name and password do not belong here",
        ],
    );
    assert!(!refusal.contains("hidden"), "{refusal}");
}
