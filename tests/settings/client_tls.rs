//! What TLS towards the Client System goes by, and what plain http is good for.

use super::site::{Site, assert_contains};

fn with_files(settings: &[(&str, &str)]) -> Site {
    settings.iter().fold(Site::new(), |site, (name, text)| {
        let file = name.to_ascii_lowercase();
        let site = site.with_file(&file, text);
        let path = site.path(&file);
        site.with(&[(*name, path.to_str().unwrap())])
    })
}

#[test]
fn files_that_hold_something_else_are_refused() {
    for (name, text, reason) in [
        ("CLIENT_CA_FILE", "", "it holds no certificate"),
        ("CLIENT_CA_FILE", "-----BEGIN CERTIFICATE-----\n!", "no PEM"),
        (
            "CLIENT_CA_FILE",
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            "no authority's",
        ),
        ("CLIENT_CERT_FILE", "hello", "it holds no certificate"),
        ("CLIENT_KEY_FILE", "very secret", "it holds no private key"),
    ] {
        let refusal = with_files(&[(name, text)]).refusal();
        assert_contains(&refusal, &[name, reason]);
        assert!(!refusal.contains("very secret"), "{refusal}");
    }
    let missing = Site::new().with(&[("CLIENT_CA_FILE", "/nowhere/at/all.pem")]);
    assert_contains(&missing.refusal(), &["CLIENT_CA_FILE", "cannot be read"]);
}

#[test]
fn a_certificate_and_its_key_go_together() {
    let certificate = |key: &rcgen::KeyPair| {
        let parameters = rcgen::CertificateParams::new(["site-7".to_owned()]).unwrap();
        pem("CERTIFICATE", parameters.self_signed(key).unwrap().der())
    };
    let private = |key: &rcgen::KeyPair| pem("PRIVATE KEY", &key.serialize_der());
    let (one, other) = (
        rcgen::KeyPair::generate().unwrap(),
        rcgen::KeyPair::generate().unwrap(),
    );
    let alone = with_files(&[("CLIENT_CERT_FILE", &certificate(&one))]);
    assert_contains(&alone.refusal(), &["client_key_file is not set"]);
    let alone = with_files(&[("CLIENT_KEY_FILE", &private(&one))]);
    assert_contains(&alone.refusal(), &["client_cert_file is not set"]);
    let (certificate, of_other, of_one) = (certificate(&one), private(&other), private(&one));
    let pair = |key| {
        [
            ("CLIENT_CERT_FILE", &*certificate),
            ("CLIENT_KEY_FILE", key),
        ]
    };
    let refusal = with_files(&pair(&of_other)).refusal();
    assert_contains(&refusal, &["does not go with the certificate"]);
    let site = with_files(&pair(&of_one));
    let everything = format!("{:?}", site.loaded());
    let secret = of_one.lines().nth(1).unwrap();
    assert!(!everything.contains(secret), "{everything}");
    assert!(site.settings().client_system.tls.identity.is_some());
}

fn pem(label: &str, der: &[u8]) -> String {
    use base64::{Engine, engine::general_purpose::STANDARD};
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        STANDARD.encode(der)
    )
}

#[test]
fn plain_http_leads_to_this_machine_unless_it_is_allowed() {
    for url in [
        "http://client.example.com/api",
        "http://192.0.2.7/api",
        "http://localhost.example.com",
        "HTTP://client.example.com",
    ] {
        let refusal = Site::new().with(&[("CLIENT_API_URL", url)]).refusal();
        assert_contains(&refusal, &["CLIENT_API_URL", "client_api_allow_http"]);
        let allowed = Site::new().with(&[("CLIENT_API_URL", url), ("CLIENT_API_ALLOW_HTTP", "1")]);
        allowed.loaded();
    }
    let proxied = Site::new().with(&[
        ("CLIENT_API_URL", "http://127.0.0.1:8080"),
        ("HTTPS_PROXY", "http://proxy.example:3128"),
    ]);
    assert_contains(&proxied.refusal(), &["client_api_allow_http"]);
    for url in [
        "http://127.0.0.1:8080",
        "http://localhost",
        "http://[::1]:80/api",
    ] {
        Site::new().with(&[("CLIENT_API_URL", url)]).loaded();
    }
}
