//! How certificates of others are judged: as usual, after somebody has had a look.

use std::{fmt, sync::Arc};

use rustls::{
    DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        VerifierBuilderError, WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::ring::default_provider,
    pki_types::{CertificateDer, ServerName, UnixTime},
};

/// Judges as usual, by these authorities, what `look` does not know already.
pub struct Looking<F> {
    usual: Arc<WebPkiServerVerifier>,
    look: F,
}

impl<F: Fn(&CertificateDer<'_>) -> bool> Looking<F> {
    /// `look` is shown every certificate first, and says whether that very one is trusted whatever it is for.
    ///
    /// # Errors
    /// When there are no authorities.
    pub fn new(authorities: Arc<RootCertStore>, look: F) -> Result<Self, VerifierBuilderError> {
        let provider = Arc::new(default_provider());
        let usual = WebPkiServerVerifier::builder_with_provider(authorities, provider).build()?;
        Ok(Self { usual, look })
    }
}

impl<F> fmt::Debug for Looking<F> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Looking").field(&self.usual).finish()
    }
}

impl<F: Fn(&CertificateDer<'_>) -> bool + Send + Sync> ServerCertVerifier for Looking<F> {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if (self.look)(certificate) {
            return Ok(ServerCertVerified::assertion());
        }
        self.usual
            .verify_server_cert(certificate, intermediates, name, ocsp, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.usual
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.usual
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.usual.supported_verify_schemes()
    }
}
