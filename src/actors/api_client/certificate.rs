//! What the other side shows when TLS is set up: noted down, also where it is not good enough; whether it is good enough
//! is decided as it always is.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
};

use rustls::{
    AlertDescription, CertificateError, Error, InvalidMessage, PeerIncompatible,
    client::danger::ServerCertVerifier, pki_types::CertificateDer,
};
use tokio_rustls::TlsConnector;
use x509_parser::{extensions::GeneralName, prelude::X509Certificate, time::ASN1Time};

use super::route::Route;
use crate::{
    domain::{
        link_probe::{Certificate, LinkFault},
        timestamp::Timestamp,
    },
    settings::trust::Looking,
};

/// Notes the certificate down, and leaves the judgement to the usual verifier.
pub(super) struct Witness {
    verifier: Arc<dyn ServerCertVerifier>,
    seen: Arc<Mutex<Option<CertificateDer<'static>>>>,
}

impl Witness {
    /// # Errors
    /// In words, where nobody is trusted.
    pub(super) fn new(route: &Route) -> Result<Self, String> {
        let seen = Arc::<Mutex<Option<CertificateDer<'static>>>>::default();
        let noted = Arc::clone(&seen);
        let note = move |certificate: &CertificateDer<'_>| {
            *noted.lock().unwrap_or_else(PoisonError::into_inner) =
                Some(certificate.clone().into_owned());
            false
        };
        let verifier = Looking::new(route.roots(), note).map_err(|error| error.to_string())?;
        Ok(Self {
            verifier: Arc::new(verifier),
            seen,
        })
    }

    pub(super) fn connector(&self, route: &Route) -> TlsConnector {
        TlsConnector::from(Arc::new(route.verifying(self.verifier.clone())))
    }

    /// What was shown, as far as it can be read.
    pub(super) fn certificate(&self) -> Option<Certificate> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        read(seen.as_ref()?)
    }
}

fn read(der: &[u8]) -> Option<Certificate> {
    let (_, certificate) = x509_parser::parse_x509_certificate(der).ok()?;
    Some(Certificate {
        subject: certificate.subject().to_string(),
        names: names(&certificate),
        issuer: certificate.issuer().to_string(),
        not_before: time(certificate.validity().not_before),
        not_after: time(certificate.validity().not_after),
    })
}

fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(extension)) = certificate.subject_alternative_name() else {
        return Vec::new();
    };
    let names = extension.value.general_names.iter();
    names
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some((*name).to_owned()),
            GeneralName::IPAddress(bytes) => address(bytes),
            _ => None,
        })
        .collect()
}

fn address(bytes: &[u8]) -> Option<String> {
    if let Ok(bytes) = <[u8; 4]>::try_from(bytes) {
        return Some(std::net::Ipv4Addr::from(bytes).to_string());
    }
    let bytes: [u8; 16] = bytes.try_into().ok()?;
    Some(std::net::Ipv6Addr::from(bytes).to_string())
}

fn time(time: ASN1Time) -> Option<Timestamp> {
    chrono::DateTime::from_timestamp(time.timestamp(), 0).map(Timestamp)
}

/// Why a certificate is not taken.
enum Refusal {
    Expired,
    NotYetValid,
    OfAnother,
    OfAuthority,
    Untrusted,
}

impl Refusal {
    /// None for what is too rare to have words of its own.
    fn of(error: &CertificateError) -> Option<Self> {
        match error {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                Some(Self::Expired)
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                Some(Self::NotYetValid)
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                Some(Self::OfAnother)
            }
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                Some(Self::Untrusted)
            }
            // The library has no name of its own for it.
            CertificateError::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => {
                Some(Self::OfAuthority)
            }
            _ => None,
        }
    }

    fn words(&self) -> &'static str {
        match self {
            Self::Expired => "the certificate of the Client System has expired",
            Self::NotYetValid => "the certificate of the Client System is not valid yet",
            Self::OfAnother => "the certificate is not that of the host in CLIENT_API_URL",
            Self::OfAuthority => {
                "the certificate of the Client System is that of an authority, as one that was signed by itself often is, and no \
                 server may show it: whoever runs the Client System has to make one for a server, with CA:FALSE"
            }
            Self::Untrusted => {
                "nobody who is trusted vouches for the certificate of the Client System"
            }
        }
    }
}

/// Why TLS was not set up, as a person says it.
pub(super) fn tls_words(error: &io::Error) -> String {
    let reason = error.get_ref().and_then(|reason| reason.downcast_ref());
    let words = match reason {
        Some(Error::InvalidCertificate(reason)) => {
            Refusal::of(reason).map(|refusal| refusal.words())
        }
        Some(Error::PeerIncompatible(
            PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
        ))
        | Some(Error::AlertReceived(AlertDescription::ProtocolVersion)) => {
            Some("the Client System speaks no version of TLS that is safe, 1.2 or later")
        }
        Some(Error::InvalidMessage(InvalidMessage::InvalidContentType)) => Some(
            "what answers there speaks no TLS, but perhaps plain http: check scheme and port in CLIENT_API_URL",
        ),
        Some(Error::AlertReceived(AlertDescription::CertificateRequired)) => Some(
            "the Client System wants to know by a certificate who calls: set CLIENT_CERT_FILE and CLIENT_KEY_FILE",
        ),
        _ => None,
    };
    words.map_or_else(|| error.to_string(), ToOwned::to_owned)
}

/// What is wrong where TLS was not set up.
pub(super) fn certificate_fault(
    error: &io::Error,
    at: String,
    certificate: Option<&Certificate>,
    now: Timestamp,
) -> LinkFault {
    let reason = error.get_ref().and_then(|reason| reason.downcast_ref());
    let (Some(Error::InvalidCertificate(reason)), Some(certificate)) = (reason, certificate) else {
        let words = tls_words(error);
        return LinkFault::Tls { at, words };
    };
    match Refusal::of(reason) {
        Some(Refusal::Expired) => LinkFault::CertificateExpired {
            at,
            since: certificate.not_after,
            now,
        },
        Some(Refusal::NotYetValid) => LinkFault::CertificateNotYetValid {
            at,
            from: certificate.not_before,
            now,
        },
        Some(Refusal::OfAnother) => LinkFault::CertificateForAnother {
            at,
            names: certificate.names.clone(),
        },
        Some(Refusal::OfAuthority) => LinkFault::CertificateOfAuthority {
            at,
            subject: certificate.subject.clone(),
        },
        Some(Refusal::Untrusted) => LinkFault::CertificateUntrusted {
            at,
            issuer: certificate.issuer.clone(),
        },
        None => LinkFault::Tls {
            at,
            words: reason.to_string(),
        },
    }
}
