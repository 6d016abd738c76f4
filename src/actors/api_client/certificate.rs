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

const NO_SAFE_VERSION: &str =
    "the Client System speaks no version of TLS that is safe, 1.2 or later";
const NO_COMMON_WAY: &str = "the Client System and this service know no way of encrypting in common that is safe, so that nothing \
     is sent: have whoever runs the Client System allow TLS 1.3, or 1.2 with ECDHE and AES-GCM or ChaCha20; where it wants to know \
     by a certificate who calls, set CLIENT_CERT_FILE and CLIENT_KEY_FILE";

/// What to do where the other side gives up without words.
pub(super) const ASK_FOR_ITS_LOG: &str = "check host and port in CLIENT_API_URL, and ask whoever runs the Client System what its log says";

/// Why a certificate is not taken.
enum Refusal {
    Expired,
    NotYetValid,
    OfAnother,
    OfAuthority,
    Untrusted,
    Unfit(Flaw),
}

/// Why a certificate is none that a server may show.
#[derive(Clone, Copy)]
enum Flaw {
    WeaklySigned,
    WithUnknownRule,
    ForOtherPurpose,
    Unreadable,
    BreaksRule,
}

impl Flaw {
    /// What is wrong with it; to be put behind its name.
    fn what(self) -> &'static str {
        match self {
            Self::WeaklySigned => {
                "is signed in a way that is not safe any more, such as with SHA-1, so that it could be forged"
            }
            Self::WithUnknownRule => {
                "holds a critical extension that is not known here, so that what it may be used for is uncertain"
            }
            Self::ForOtherPurpose => {
                "is not for servers, but for another purpose, such as for clients"
            }
            Self::Unreadable => "cannot be read as one",
            Self::BreaksRule => "breaks a rule that all certificates have to keep",
        }
    }

    /// What whoever runs the Client System is to do.
    fn remedy(self) -> &'static str {
        match self {
            Self::WeaklySigned => "have it signed anew, with SHA-256 or better",
            Self::WithUnknownRule => "make one without that extension",
            Self::ForOtherPurpose => "make one with the purpose serverAuth",
            Self::Unreadable => "name the right file of the certificate where TLS is set up",
            Self::BreaksRule => "make another",
        }
    }
}

impl Refusal {
    #[expect(
        deprecated,
        reason = "the library has given one of these up, but not ceased to say it"
    )]
    fn of(error: &CertificateError) -> Self {
        match error {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => Self::Expired,
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                Self::NotYetValid
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                Self::OfAnother
            }
            CertificateError::UnknownIssuer | CertificateError::BadSignature => Self::Untrusted,
            // The library has no names of its own for some.
            CertificateError::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => {
                Self::OfAuthority
            }
            CertificateError::UnsupportedSignatureAlgorithm
            | CertificateError::UnsupportedSignatureAlgorithmContext { .. }
            | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
                Self::Unfit(Flaw::WeaklySigned)
            }
            CertificateError::UnhandledCriticalExtension => Self::Unfit(Flaw::WithUnknownRule),
            CertificateError::Other(other)
                if other.to_string().contains("UnsupportedCriticalExtension") =>
            {
                Self::Unfit(Flaw::WithUnknownRule)
            }
            CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
                Self::Unfit(Flaw::ForOtherPurpose)
            }
            CertificateError::BadEncoding => Self::Unfit(Flaw::Unreadable),
            _ => Self::Unfit(Flaw::BreaksRule),
        }
    }

    fn words(&self) -> String {
        let words = match self {
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
            Self::Unfit(flaw) => {
                return format!(
                    "the certificate of the Client System {}, and nothing is sent to it: whoever runs it has to {}",
                    flaw.what(),
                    flaw.remedy()
                );
            }
        };
        words.to_owned()
    }
}

/// What it means that the other side has ended the setting up of TLS with this, and what to do.
fn alert_words(alert: AlertDescription) -> String {
    match alert {
        AlertDescription::ProtocolVersion => NO_SAFE_VERSION.to_owned(),
        AlertDescription::HandshakeFailure | AlertDescription::InsufficientSecurity => {
            NO_COMMON_WAY.to_owned()
        }
        AlertDescription::CertificateRequired | AlertDescription::NoCertificate => {
            "the Client System wants to know by a certificate who calls: set CLIENT_CERT_FILE and CLIENT_KEY_FILE".to_owned()
        }
        AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateRevoked
        | AlertDescription::CertificateExpired
        | AlertDescription::CertificateUnknown
        | AlertDescription::UnknownCA
        | AlertDescription::AccessDenied
        | AlertDescription::DecryptError => format!(
            "the Client System does not accept the certificate by which this service introduces itself ({alert:?}), so that it \
             takes no calls: have whoever runs the Client System make another, and name its files in CLIENT_CERT_FILE and \
             CLIENT_KEY_FILE"
        ),
        AlertDescription::UnrecognisedName => {
            "the Client System has no certificate for the host in CLIENT_API_URL: check that host".to_owned()
        }
        AlertDescription::InternalError => {
            "the Client System failed while the encryption was set up, by a fault of its own: wait, and if that lasts, tell \
             whoever runs it".to_owned()
        }
        other => format!(
            "the Client System ended the setting up of the encryption ({other:?}), so that nothing is sent: {ASK_FOR_ITS_LOG}"
        ),
    }
}

/// Why TLS was not set up, as a person says it.
pub(super) fn tls_words(error: &io::Error) -> String {
    let reason = error.get_ref().and_then(|reason| reason.downcast_ref());
    let words = match reason {
        Some(Error::InvalidCertificate(reason)) => return Refusal::of(reason).words(),
        Some(Error::PeerIncompatible(
            PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
        )) => NO_SAFE_VERSION,
        Some(Error::PeerIncompatible(_)) => NO_COMMON_WAY,
        Some(Error::InvalidMessage(InvalidMessage::InvalidContentType)) => {
            "what answers there speaks no TLS, but perhaps plain http: check scheme and port in CLIENT_API_URL"
        }
        Some(Error::InvalidMessage(_) | Error::PeerMisbehaved(_)) => {
            "what answers there does not speak TLS as it should, so that nothing is sent: check host and port in CLIENT_API_URL, \
             and what stands on the way"
        }
        Some(Error::AlertReceived(alert)) => return alert_words(*alert),
        _ => return error.to_string(),
    };
    words.to_owned()
}

/// What is wrong where TLS was not set up.
pub(super) fn certificate_fault(
    error: &io::Error,
    at: String,
    certificate: Option<&Certificate>,
    now: Timestamp,
) -> LinkFault {
    let reason = error.get_ref().and_then(|reason| reason.downcast_ref());
    let Some(Error::InvalidCertificate(reason)) = reason else {
        let words = tls_words(error);
        if error.kind() == io::ErrorKind::TimedOut {
            // Whatever is there and speaks no TLS says something, or hangs up.
            let words = format!("{at} takes connections and then says nothing: {words}");
            return LinkFault::NoAnswer { words };
        }
        return LinkFault::Tls { at, words };
    };
    match (Refusal::of(reason), certificate) {
        (Refusal::Unfit(flaw), _) => LinkFault::CertificateUnfit {
            at,
            flaw: flaw.what(),
            remedy: flaw.remedy(),
        },
        (refusal, None) => LinkFault::Tls {
            at,
            words: refusal.words(),
        },
        (Refusal::Expired, Some(certificate)) => LinkFault::CertificateExpired {
            at,
            since: certificate.not_after,
            now,
        },
        (Refusal::NotYetValid, Some(certificate)) => LinkFault::CertificateNotYetValid {
            at,
            from: certificate.not_before,
            now,
        },
        (Refusal::OfAnother, Some(certificate)) => LinkFault::CertificateForAnother {
            at,
            names: certificate.names.clone(),
        },
        (Refusal::OfAuthority, Some(certificate)) => LinkFault::CertificateOfAuthority {
            at,
            subject: certificate.subject.clone(),
        },
        (Refusal::Untrusted, Some(certificate)) => LinkFault::CertificateUntrusted {
            at,
            issuer: certificate.issuer.clone(),
        },
    }
}
