//! How connections to the Client System come about: straight or through a proxy, and what TLS trusts.

use std::{rc::Rc, sync::Arc, time::Duration};

use actix_tls::connect::rustls_0_23::webpki_roots_cert_store;
use awc::{Client, Connector};
use rustls::{
    ClientConfig, ConfigBuilder, RootCertStore,
    client::{WantsClientCert, danger::ServerCertVerifier},
    sign::{CertifiedKey, SingleCertAndKey},
};

use super::tunnel::{Tunnel, TunnelConnector};
use crate::settings::ClientSystemSettings;

/// The server closes idle connections after 5 s; giving them up a little earlier avoids sending into a
/// connection that is being closed.
const IDLE_CONNECTIONS_LIVE: Duration = Duration::from_secs(4);
/// No connection takes longer to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How connections come about.
#[derive(Clone)]
pub(super) struct Route {
    pub(super) connect_timeout: Duration,
    roots: Arc<RootCertStore>,
    identity: Option<Arc<CertifiedKey>>,
    tls: Arc<ClientConfig>,
    pub(super) tunnel: Option<Rc<Tunnel>>,
}

impl Route {
    pub(super) fn new(settings: &ClientSystemSettings) -> Self {
        let authorities = settings.tls.authorities.clone();
        Self::trusting(settings, authorities.unwrap_or_else(public_roots))
    }

    /// A route that trusts certificates of these authorities.
    pub(super) fn trusting(settings: &ClientSystemSettings, roots: Arc<RootCertStore>) -> Self {
        let connect_timeout = CONNECT_TIMEOUT.min(settings.timeout);
        // Others give up at the same time, and would know less of the reason.
        let patience = connect_timeout * 9 / 10;
        let identity = settings.tls.identity.clone();
        let trusting = ClientConfig::builder().with_root_certificates(roots.clone());
        let mut tls = introducing(trusting, identity.clone());
        tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Self {
            connect_timeout,
            roots,
            identity,
            tls: Arc::new(tls),
            tunnel: settings
                .proxy
                .as_ref()
                .map(|proxy| Rc::new(Tunnel::new(proxy, patience))),
        }
    }

    /// Whose certificates are trusted.
    pub(super) fn roots(&self) -> Arc<RootCertStore> {
        self.roots.clone()
    }

    /// A configuration for TLS that goes by this verifier, and is like the usual one otherwise.
    pub(super) fn verifying(&self, verifier: Arc<dyn ServerCertVerifier>) -> ClientConfig {
        let verifying = ClientConfig::builder()
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        introducing(verifying, self.identity.clone())
    }

    /// A client with a pool of connections of its own.
    pub(super) fn client(&self) -> Client {
        let straight = Connector::new()
            .timeout(self.connect_timeout)
            .handshake_timeout(self.connect_timeout)
            .conn_keep_alive(IDLE_CONNECTIONS_LIVE)
            .rustls_0_23(self.tls.clone());
        // A redirect would carry the key and the readings to an address that nobody configured.
        let client = Client::builder().disable_redirects().disable_timeout();
        match &self.tunnel {
            None => client.connector(straight).finish(),
            Some(tunnel) => client
                .connector(straight.connector(TunnelConnector(tunnel.clone())))
                .finish(),
        }
    }
}

/// With the service's own certificate, where it has one.
fn introducing(
    builder: ConfigBuilder<ClientConfig, WantsClientCert>,
    identity: Option<Arc<CertifiedKey>>,
) -> ClientConfig {
    match identity {
        Some(identity) => {
            builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(identity)))
        }
        None => builder.with_no_client_auth(),
    }
}

/// The public authorities, as they are built in.
pub(super) fn public_roots() -> Arc<RootCertStore> {
    Arc::new(webpki_roots_cert_store())
}
