//! What certificates are found to be, by a prober that trusts whom the test says.

use super::*;
use crate::{
    actors::api_client::testing::{certificate_for, tls_server},
    settings::Settings,
};

/// The name under which a server of this machine is probed.
const NAME: &str = "localhost";

async fn probed(certificate: &rcgen::CertificateParams, is_trusted: bool) -> LinkProbe {
    let (port, roots) = tls_server(certificate).await;
    let settings = Settings::from_overrides(&[
        ("client_api_url", &format!("https://{NAME}:{port}/api")),
        ("client_api_key", "key"),
    ]);
    let settings = settings.expect("settings").client_system;
    let route = if is_trusted {
        Route::trusting(&settings, roots)
    } else {
        Route::new(&settings)
    };
    Probe::over(route, &settings, Clock::system())
        .run(None)
        .await
}

#[actix::test]
async fn a_good_certificate_is_told_and_everything_is_called() {
    let found = probed(&certificate_for(NAME), true).await;
    assert!(found.faults.is_empty(), "{found:?}");
    let steps: Vec<_> = found.steps.iter().map(|step| step.name).collect();
    assert_eq!(steps, ["dns", "tcp", "tls", "health", "auth"]);
    let certificate = found.certificate.expect("it was shown");
    assert_eq!(certificate.names, [NAME]);
    assert!(certificate.not_before < certificate.not_after);
}

#[actix::test]
async fn a_certificate_that_is_no_good_is_told_with_the_reason() {
    let later = {
        let mut later = certificate_for(NAME);
        later.not_before = rcgen::date_time_ymd(3000, 1, 1);
        later.not_after = rcgen::date_time_ymd(3001, 1, 1);
        later
    };
    let of_another = certificate_for("another.invalid");
    let of_authority = {
        let mut of_authority = certificate_for(NAME);
        of_authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        of_authority
    };
    let good = certificate_for(NAME);
    for (certificate, is_trusted, expected) in [
        (
            &later,
            true,
            "is not valid yet, but from 3000-01-01T00:00:00.000Z",
        ),
        (&of_another, true, "is for another.invalid only"),
        (&of_authority, true, "is that of an authority"),
        (&of_authority, false, "is that of an authority"),
        (&good, false, "nobody who is trusted vouches for"),
    ] {
        let found = probed(certificate, is_trusted).await;
        let [fault] = &found.faults[..] else {
            panic!("one fault: {found:?}")
        };
        let what = fault.finding().what;
        assert!(what.contains(expected), "{expected}: {what}");
        assert!(found.certificate.is_some(), "{found:?}");
        assert!(
            found.steps.iter().all(|step| step.name != "health"),
            "nothing is sent: {found:?}"
        );
    }
}

#[actix::test]
async fn what_speaks_no_tls_is_told() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let port = listener.local_addr().expect("an address").port();
    actix::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let said = b"HTTP/1.1 400 Bad Request\r\n\r\n";
            let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, said).await;
        }
    });
    let settings = Settings::from_overrides(&[
        ("client_api_url", &format!("https://{NAME}:{port}/api")),
        ("client_api_key", "key"),
    ]);
    let settings = settings.expect("settings").client_system;
    let found = probe(&settings, None, Clock::system()).await;
    let [fault @ LinkFault::Tls { .. }] = &found.faults[..] else {
        panic!("one fault: {found:?}")
    };
    let finding = fault.finding();
    assert!(
        finding
            .what
            .contains("speaks no TLS, but perhaps plain http"),
        "{finding}"
    );
    assert!(finding.remedy.contains("CLIENT_API_URL"), "{finding}");
}
