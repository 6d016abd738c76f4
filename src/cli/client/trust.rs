//! Which certificates a service may show that speaks TLS: those of public authorities, and those in a file of the
//! operator's.

use std::{path::Path, sync::Arc};

use actix_tls::connect::rustls_0_23::webpki_roots_cert_store;
use rustls::{
    ClientConfig, Error,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, pem::PemObject},
};

use super::failure::Failure;
use crate::settings::trust::Looking;

/// Trusts the very certificates of a file, whatever names they are for: the service is asked at an address of its machine,
/// and its certificate is for the name by which others call that. All others are judged as usual, with the authorities of
/// the file besides the public ones.
///
/// # Errors
/// When the file cannot be read, or holds no certificate.
pub(super) fn trusting(file: Option<&Path>) -> Result<Arc<ClientConfig>, Failure> {
    let own = file.map(certificates).transpose()?.unwrap_or_default();
    let mut roots = webpki_roots_cert_store();
    // What is no authority is trusted as it stands.
    roots.add_parsable_certificates(own.iter().cloned());
    let unusable = |error: &dyn std::fmt::Display| {
        Failure::Here(format!("TLS cannot be set up here: {error}"))
    };
    let is_own = move |shown: &CertificateDer<'_>| own.iter().any(|own| own == shown);
    let verifier = Looking::new(Arc::new(roots), is_own).map_err(|error| unusable(&error))?;
    config(verifier).map_err(|error| unusable(&error))
}

fn config<F>(verifier: Looking<F>) -> Result<Arc<ClientConfig>, Error>
where
    F: Fn(&CertificateDer<'_>) -> bool + Send + Sync + 'static,
{
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    Ok(Arc::new(config))
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, Failure> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_file_iter(file).and_then(Iterator::collect);
    let why = match found {
        Ok(found) if !found.is_empty() => return Ok(found),
        Ok(_) => "it holds no certificate".to_owned(),
        Err(error) => error.to_string(),
    };
    Err(Failure::Arguments(format!(
        "the certificates in {} cannot be used ({why}), so nothing was asked; name a readable file in PEM form with --ca-file, or LOCAL_TLS_CERT_FILE",
        file.display()
    )))
}
