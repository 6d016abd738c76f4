//! TLS towards the Client System as the built program does it: whom it trusts, as whom it introduces itself, and what it says
//! of whom it does not trust.

use std::{
    fs,
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::Arc,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, CustomExtension, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyPair,
};
use rustls::{
    RootCertStore, ServerConfig,
    crypto::ring::sign::any_supported_type,
    pki_types::{CertificateDer, PrivateKeyDer},
    server::WebPkiClientVerifier,
    sign::{CertifiedKey, SingleCertAndKey},
};

use super::{Site, waiting::wait_until};

const READINGS: u32 = 25;

/// An authority that only this test knows.
struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its private key, both in DER.
struct Identity {
    certificate: CertificateDer<'static>,
    key: Vec<u8>,
}

impl Authority {
    fn new() -> Self {
        let mut parameters = CertificateParams::default();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let name = "authority of an energy company";
        parameters.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::self_signed(parameters, key).unwrap())
    }

    fn vouch_for(&self, mut parameters: CertificateParams) -> Identity {
        parameters.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        self.vouch_as_it_is(&parameters)
    }

    fn vouch_as_it_is(&self, parameters: &CertificateParams) -> Identity {
        let key = KeyPair::generate().unwrap();
        Identity {
            certificate: parameters.signed_by(&key, &self.0).unwrap().der().clone(),
            key: key.serialize_der(),
        }
    }

    fn pem(&self) -> String {
        pem("CERTIFICATE", self.0.as_ref().der())
    }

    fn roots(&self) -> Arc<RootCertStore> {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.as_ref().der().clone()).unwrap();
        Arc::new(roots)
    }
}

fn named(name: &str) -> CertificateParams {
    CertificateParams::new([name.to_owned()]).unwrap()
}

fn pem(label: &str, der: &[u8]) -> String {
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        STANDARD.encode(der)
    )
}

/// Takes TLS off and hands the rest on to the Client System. Its port.
fn door(site: &Site, identity: &Identity, callers: Option<&Authority>) -> u16 {
    let builder = ServerConfig::builder();
    let builder = match callers {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let verifier = WebPkiClientVerifier::builder(authority.roots());
            builder.with_client_cert_verifier(verifier.build().unwrap())
        }
    };
    let key = PrivateKeyDer::try_from(identity.key.clone()).unwrap();
    let key = any_supported_type(&key).unwrap();
    // Shown as it is, however bad that is.
    let shown = CertifiedKey::new(vec![identity.certificate.clone()], key);
    let config = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(shown)));
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let url = site.client_system.base_url();
    let behind: SocketAddr = url
        .trim_start_matches("http://")
        .trim_end_matches("/api")
        .parse()
        .unwrap();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.enable_all().build().unwrap();
        runtime.block_on(serve(listener, acceptor, behind));
    });
    port
}

async fn serve(listener: TcpListener, acceptor: tokio_rustls::TlsAcceptor, behind: SocketAddr) {
    listener.set_nonblocking(true).unwrap();
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    while let Ok((stream, _)) = listener.accept().await {
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            // Whom the other side does not trust, it leaves.
            if let Ok(mut outside) = acceptor.accept(stream).await {
                let mut inside = tokio::net::TcpStream::connect(behind).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut outside, &mut inside).await;
            }
        });
    }
}

/// The same certificate as if it had been signed with SHA-1.
fn signed_with_sha_1(identity: Identity) -> Identity {
    let mut certificate = identity.certificate.to_vec();
    // ECDSA with SHA-256, twice, and as with SHA-1, which is a byte shorter.
    let with_sha_256 = [0x30, 10, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];
    let with_sha_1 = [0x30, 9, 6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 1];
    // The lengths of the whole and of what is signed, of two bytes each.
    assert_eq!([certificate[1], certificate[5]], [0x82; 2]);
    for (at, fewer) in [(2, 2), (6, 1)] {
        let length = u16::from_be_bytes([certificate[at], certificate[at + 1]]) - fewer;
        certificate[at..at + 2].copy_from_slice(&length.to_be_bytes());
    }
    for _ in 0..2 {
        let mut all = certificate.windows(with_sha_256.len());
        let at = all.position(|bytes| bytes == with_sha_256).unwrap();
        certificate.splice(at..at + with_sha_256.len(), with_sha_1);
    }
    Identity {
        certificate: certificate.into(),
        ..identity
    }
}

/// Speaks the first half of TLS 1.1, or of TLS 1.0, whatever it is offered.
fn outdated_server(version: [u8; 2]) -> u16 {
    let mut hello = vec![2, 0, 0, 38, version[0], version[1]];
    hello.extend([7; 32]);
    // No session, a cipher suite of that time (ECDHE-RSA with AES-128), no compression.
    hello.extend([0, 0xc0, 0x13, 0]);
    let mut record = vec![22, version[0], version[1], 0, hello.len() as u8];
    record.extend(hello);
    whoever_says(record)
}

/// Answers the first words of TLS with this alert.
fn alerting_server(alert: u8) -> u16 {
    whoever_says(vec![21, 3, 3, 0, 2, 2, alert])
}

/// Says this to whoever says something, and waits for more.
fn whoever_says(record: Vec<u8>) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(&record);
            let _ = stream.read(&mut [0; 4096]);
        }
    });
    port
}

/// A site that trusts this authority only, and asks at this port of `localhost`.
fn trusting(site: Site, authority: &Authority, port: u16) -> Site {
    let file = site.file("authorities.pem");
    fs::write(&file, authority.pem()).unwrap();
    site.set("CLIENT_CA_FILE", file.to_str().unwrap())
        .set("CLIENT_API_URL", &format!("https://localhost:{port}/api"))
        .set("API_TIMEOUT", "2000")
}

fn introduced_as(site: Site, identity: &Identity) -> Site {
    let (certificate, key) = (site.file("client.pem"), site.file("client-key.pem"));
    fs::write(&certificate, pem("CERTIFICATE", &identity.certificate)).unwrap();
    fs::write(&key, pem("PRIVATE KEY", &identity.key)).unwrap();
    site.set("CLIENT_CERT_FILE", certificate.to_str().unwrap())
        .set("CLIENT_KEY_FILE", key.to_str().unwrap())
}

fn assert_refuses(what: &str, site: &Site, reason: &str) {
    site.insert(READINGS);
    let service = site.start();
    wait_until(what, || {
        let status = service.get("/status");
        let error = status["connectivity"]["lastError"].as_str();

        status["state"] == "offline"
            && status["queue"]["pending"] == READINGS
            && error.is_some_and(|error| error.contains(reason))
    });
    service.stop();
    let requests = site.client_system.ledger().requests;
    assert!(requests.is_empty(), "{what}: {requests:?}");
}

#[test]
fn an_authority_of_our_own_and_a_certificate_for_the_service_are_enough() {
    let authority = Authority::new();
    let site = Site::new();
    let port = door(
        &site,
        &authority.vouch_for(named("localhost")),
        Some(&authority),
    );
    let site = introduced_as(
        trusting(site, &authority, port),
        &authority.vouch_for(named("site-7")),
    );
    site.insert(READINGS);
    let service = site.start();
    site.wait_until_drained(READINGS.into());
    service.stop();
    site.assert_all_delivered_once(READINGS.into());
}

#[test]
fn a_server_that_wants_a_certificate_and_gets_none_is_told() {
    let authority = Authority::new();
    let site = Site::new();
    let port = door(
        &site,
        &authority.vouch_for(named("localhost")),
        Some(&authority),
    );
    let site = trusting(site, &authority, port);
    assert_refuses("no certificate", &site, "CLIENT_CERT_FILE");
}

#[test]
fn certificates_that_are_no_good_are_refused_with_the_reason() {
    let authority = Authority::new();
    let mut expired = named("localhost");
    expired.not_before = rcgen::date_time_ymd(2019, 1, 1);
    expired.not_after = rcgen::date_time_ymd(2020, 1, 1);
    let key = KeyPair::generate().unwrap();
    let self_signed = Identity {
        certificate: named("localhost").self_signed(&key).unwrap().der().clone(),
        key: key.serialize_der(),
    };
    let key = KeyPair::generate().unwrap();
    let mut for_others = named("localhost");
    for_others.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let of_authority = Identity {
        certificate: for_others.self_signed(&key).unwrap().der().clone(),
        key: key.serialize_der(),
    };
    for (what, identity, reason) in [
        ("of an authority", of_authority, "with CA:FALSE"),
        ("expired", authority.vouch_for(expired), "has expired"),
        ("self-signed", self_signed, "nobody who is trusted"),
        (
            "of another authority",
            Authority::new().vouch_for(named("localhost")),
            "nobody who is trusted",
        ),
        (
            "of another host",
            authority.vouch_for(named("another.invalid")),
            "not that of the host",
        ),
    ] {
        let site = Site::new();
        let port = door(&site, &identity, None);
        assert_refuses(what, &trusting(site, &authority, port), reason);
    }
}

#[test]
fn certificates_that_no_server_may_show_are_refused_with_the_reason() {
    let authority = Authority::new();
    let mut with_unknown_rule = named("localhost");
    let mut rule = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99_999, 1], vec![5, 0]);
    rule.set_criticality(true);
    with_unknown_rule.custom_extensions.push(rule);
    let mut for_clients = named("localhost");
    for_clients.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let good = || authority.vouch_for(named("localhost"));
    let garbage = Identity {
        certificate: b"no certificate at all".to_vec().into(),
        ..good()
    };
    for (what, identity, reason) in [
        (
            "SHA-1",
            signed_with_sha_1(good()),
            "signed anew, with SHA-256",
        ),
        (
            "unknown rule",
            authority.vouch_for(with_unknown_rule),
            "make one without that extension",
        ),
        (
            "for clients",
            authority.vouch_as_it_is(&for_clients),
            "make one with the purpose serverAuth",
        ),
        ("garbage", garbage, "name the right file of the certificate"),
    ] {
        let site = Site::new();
        let port = door(&site, &identity, None);
        assert_refuses(what, &trusting(site, &authority, port), reason);
    }
}

#[test]
fn why_the_other_side_gives_up_is_told_with_what_to_do() {
    for (alert, reason) in [
        (40, "TLS 1.3, or 1.2 with ECDHE"),
        (
            42,
            "does not accept the certificate by which this service introduces itself",
        ),
        (70, "no version of TLS that is safe"),
        (80, "by a fault of its own: wait"),
        (112, "no certificate for the host in CLIENT_API_URL"),
        (120, "what its log says"),
    ] {
        let site = trusting(Site::new(), &Authority::new(), alerting_server(alert));
        assert_refuses(&format!("alert {alert}"), &site, reason);
    }
}

#[test]
fn versions_of_tls_that_are_no_longer_safe_are_refused() {
    for (what, version) in [("TLS 1.1", [3, 2]), ("TLS 1.0", [3, 1])] {
        let site = trusting(Site::new(), &Authority::new(), outdated_server(version));
        assert_refuses(what, &site, "no version of TLS that is safe");
    }
}

#[test]
fn plain_http_where_tls_is_expected_is_told() {
    let site = Site::new();
    let behind = site.client_system.base_url();
    let port = behind.trim_end_matches("/api").rsplit_once(':').unwrap().1;
    let port = port.parse().unwrap();
    let site = trusting(site, &Authority::new(), port);
    assert_refuses("plain http", &site, "perhaps plain http");
}
