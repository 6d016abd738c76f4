//! Whom TLS towards the Client System trusts, and as whom the service introduces itself there.

use std::{fs, sync::Arc};

use rustls::{RootCertStore, sign::CertifiedKey};

use super::{pem, reader::Reader};

const AUTHORITIES_ALLOWED: &str =
    "the path of a readable file with one or more certificates of authorities in PEM";
const CERTIFICATE_ALLOWED: &str = "the path of a readable file with the service's own certificate in PEM, then those that vouch for it, along with client_key_file";
const KEY_ALLOWED: &str = "the path of a readable file with the private key of client_cert_file in PEM, not encrypted, along with client_cert_file";

/// Whom TLS trusts, and as whom the service introduces itself. `Debug` shows no key.
#[derive(Clone, Debug, Default)]
pub struct ClientTlsSettings {
    /// The only authorities that are trusted; none where it is the public ones.
    pub authorities: Option<Arc<RootCertStore>>,
    /// What is shown to a server that asks who calls.
    pub identity: Option<Arc<CertifiedKey>>,
}

impl ClientTlsSettings {
    pub(super) fn read(reader: &mut Reader) -> Option<Self> {
        let authorities = read_authorities(reader);
        let identity = read_identity(reader);
        Some(Self {
            authorities: authorities?,
            identity: identity?,
        })
    }
}

fn read_authorities(reader: &mut Reader) -> Option<Option<Arc<RootCertStore>>> {
    let read = optional_file(reader, "client_ca_file", AUTHORITIES_ALLOWED, |file| {
        let mut authorities = RootCertStore::empty();
        for certificate in pem::certificates(file)? {
            authorities
                .add(certificate)
                .map_err(|error| format!("a certificate in it is no authority's ({error})"))?;
        }
        Ok(Arc::new(authorities))
    })?;
    Some(read)
}

fn read_identity(reader: &mut Reader) -> Option<Option<Arc<CertifiedKey>>> {
    let chain = optional_file(
        reader,
        "client_cert_file",
        CERTIFICATE_ALLOWED,
        pem::certificates,
    )?;
    let key = optional_file(reader, "client_key_file", KEY_ALLOWED, pem::private_key)?;
    match (chain, key) {
        (None, None) => Some(None),
        (Some(_), None) => reader.refuse(
            "client_cert_file",
            "client_key_file is not set",
            CERTIFICATE_ALLOWED,
        ),
        (None, Some(_)) => reader.refuse(
            "client_key_file",
            "client_cert_file is not set",
            KEY_ALLOWED,
        ),
        (Some(chain), Some(key)) => match pem::pair(chain, key) {
            Ok(identity) => Some(Some(Arc::new(identity))),
            Err(error) => reader.refuse(
                "client_key_file",
                &format!("it does not go with the certificate ({error})"),
                KEY_ALLOWED,
            ),
        },
    }
}

/// None once a problem is noted; none within where the key is not set.
fn optional_file<T>(
    reader: &mut Reader,
    name: &'static str,
    allowed: &str,
    parse: impl FnOnce(&[u8]) -> Result<T, String>,
) -> Option<Option<T>> {
    if reader.given(name).is_none() {
        return Some(None);
    }
    let mut path = String::new();
    let read = reader.text(name, allowed, |text| {
        text.clone_into(&mut path);
        let file = fs::read(text).map_err(|error| format!("the file cannot be read ({error})"))?;
        parse(&file)
    })?;
    reader.show_given(name, path);
    Some(Some(read))
}
