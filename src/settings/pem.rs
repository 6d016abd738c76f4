//! Certificates and keys in PEM form, and the pairs that they make.

use rustls::{
    crypto::ring::default_provider,
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{Error as PemError, PemObject},
    },
    sign::CertifiedKey,
};

/// All certificates of a file, in their order; at least one.
///
/// # Errors
/// In words that follow the name of the file.
pub fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|error| format!("it is no PEM ({error})"))?;
    if certificates.is_empty() {
        return Err("it holds no certificate in PEM form".to_owned());
    }
    Ok(certificates)
}

/// The first private key of a file.
///
/// # Errors
/// In words that follow the name of the file, without anything of it.
pub fn private_key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, String> {
    PrivateKeyDer::from_pem_slice(pem).map_err(|error| match error {
        PemError::NoItemsFound => "it holds no private key in PEM form".to_owned(),
        error => format!("it is no PEM ({error})"),
    })
}

/// A certificate, those that vouch for it, and its key.
///
/// # Errors
/// When they do not go together.
pub fn pair(
    certificates: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<CertifiedKey, rustls::Error> {
    CertifiedKey::from_der(certificates, key, &default_provider())
}
