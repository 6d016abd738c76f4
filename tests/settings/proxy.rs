//! The proxy and what is excepted from it, and that its password is never shown.

use meterit_sync::settings::Settings;
use secrecy::ExposeSecret;

use super::site::{Site, assert_contains};

const PROXY: (&str, &str) = (
    "HTTPS_PROXY",
    "http://site-7:hidden%2Fword@proxy.example:3128",
);

fn proxy_of(site: &Site) -> Option<String> {
    let proxy = site.settings().client_system.proxy;
    proxy.map(|proxy| proxy.to_string())
}

#[test]
fn the_proxy_is_shown_without_its_password() {
    let site = Site::new().with(&[PROXY, ("NO_PROXY", "localhost,10.0.0.0/8")]);
    let loaded = site.loaded();
    let proxy = loaded.settings.client_system.proxy.clone().unwrap();
    assert_eq!(proxy.to_string(), "proxy.example:3128");
    let credentials = proxy.credentials.as_ref().unwrap();
    assert_eq!(credentials.expose_secret(), "site-7:hidden/word");
    assert!(loaded.report.warnings.is_empty());
    let everything = format!("{loaded:?}\n{}", loaded.report);
    assert_contains(
        &everything,
        &[
            "http://site-7:***@proxy.example:3128",
            "localhost,10.0.0.0/8",
        ],
    );
    assert!(!everything.contains("hidden"), "{everything}");
}

#[test]
fn a_proxy_that_cannot_be_used_is_refused_and_not_shown() {
    for url in [
        "http://site-7:hidden",
        "https://site-7:hidden@proxy.example",
        "socks5://site-7:hidden@proxy.example",
        "http://site-7:hid/hidden@proxy.example/hidden",
    ] {
        let refusal = Site::new().with(&[("HTTPS_PROXY", url)]).refusal();
        assert_contains(
            &refusal,
            &["HTTPS_PROXY (environment)", "http://proxy.example.com:3128"],
        );
        assert!(!refusal.contains("hid"), "{refusal}");
    }
    let refusal = Site::new()
        .with_config("no_proxy = \"10.0.0.0/33\"")
        .refusal();
    assert_contains(&refusal, &["no_proxy", "`10.0.0.0/33` is no host"]);
}

#[test]
fn lower_case_is_taken_as_other_programs_take_it_and_upper_case_wins() {
    let lower = ("https_proxy", "http://lower.example:3128");
    let site = Site::new().with(&[lower]);
    assert_eq!(proxy_of(&site).as_deref(), Some("lower.example:3128"));
    assert_contains(
        &site.loaded().report.to_string(),
        &["http://lower.example:3128       environment"],
    );
    let site = Site::new().with(&[lower, PROXY]);
    assert_eq!(proxy_of(&site).as_deref(), Some("proxy.example:3128"));
    let site = Site::new().with(&[lower, ("HTTPS_PROXY", "")]);
    assert_eq!(proxy_of(&site).as_deref(), Some("lower.example:3128"));
    let site = Site::new().with(&[lower, ("no_proxy", "example.com")]);
    assert_eq!(proxy_of(&site), None);
    // A file is a lower layer than the environment, however that is spelt.
    let site = Site::new()
        .with(&[lower])
        .with_config("https_proxy = \"http://file.example:3128\"");
    assert_eq!(proxy_of(&site).as_deref(), Some("lower.example:3128"));
    let refusal = Site::new().with(&[("https_proxy", "ftp://x")]).refusal();
    assert_contains(&refusal, &["https_proxy (environment)"]);
    // Of no other setting.
    let site = Site::new().with(&[("batch_size", "7")]);
    assert_eq!(site.settings().sync.batch_size, 1000);
}

#[test]
fn exceptions_are_for_the_client_system_alone() {
    let site = Site::new().with(&[PROXY]);
    assert_eq!(proxy_of(&site).as_deref(), Some("proxy.example:3128"));
    for (exceptions, goes_through) in [
        ("other.example", true),
        ("client.example.com:80", true),
        ("client.example.com:443", false),
        (".example.com", false),
        ("*", false),
    ] {
        let site = Site::new().with(&[PROXY, ("NO_PROXY", exceptions)]);
        assert_eq!(proxy_of(&site).is_some(), goes_through, "{exceptions}");
    }
}

#[test]
fn without_the_setting_there_is_no_proxy() {
    let settings = Settings::from_overrides(&[
        ("client_api_url", "http://127.0.0.1:8080/api"),
        ("client_api_key", "key"),
        ("no_proxy", "*"),
    ]);
    assert!(settings.unwrap().client_system.proxy.is_none());
}
