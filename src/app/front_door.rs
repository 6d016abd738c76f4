//! The way into the local API: who is let in, and the certificate that is shown there.

use super::{StartError, local_certificate::LocalCertificate};
use crate::{
    clock::Clock,
    domain::timestamp::Timestamp,
    http::{Access, Rules, TokenChange, Tokens},
    settings::LocalApiSettings,
    supervision::published::Published,
};

/// Guards the local API of one service. All clones are the same.
#[derive(Clone)]
pub(super) struct FrontDoor {
    pub(super) access: Access,
    /// None for HTTP without TLS.
    pub(super) certificate: Option<LocalCertificate>,
}

impl FrontDoor {
    /// # Errors
    /// When there is to be a certificate, and the files cannot be used.
    pub(super) fn new(settings: &LocalApiSettings, clock: &Clock) -> Result<Self, StartError> {
        let rules = Rules {
            listens_on: settings.host,
            port: settings.port,
            names: settings.names.clone(),
            encrypted: settings.tls.is_some(),
            same_host: settings.allowed_origins.same_host,
            origins: settings.allowed_origins.others.clone(),
            frontend_without_token: settings.frontend_without_token,
            frontend_reads_without_token: settings.frontend_reads_without_token,
        };
        let certificate = settings.tls.as_ref().map(LocalCertificate::new);
        Ok(Self {
            access: Access::new(rules, tokens(settings), clock.clone()),
            certificate: certificate.transpose().map_err(StartError::Certificate)?,
        })
    }

    /// Until when the certificate is valid, where there is one.
    pub(super) fn certificate_expires(&self) -> Published<Option<Timestamp>> {
        let certificate = self.certificate.as_ref();
        certificate.map_or_else(Published::default, LocalCertificate::expires)
    }

    /// Lets other tokens in from now on.
    pub(super) fn take_tokens(&self, settings: &LocalApiSettings) -> TokenChange {
        self.access.change_tokens(tokens(settings))
    }
}

fn tokens(settings: &LocalApiSettings) -> Tokens {
    Tokens::new(
        settings.control_token.as_ref(),
        settings.read_token.as_ref(),
    )
}
