//! The way through a proxy: CONNECT (RFC 9110, section 9.3.6), after which a connection is as good as a direct one. TLS,
//! where there is any, is spoken through it with the Client System itself.

use std::{io, rc::Rc, time::Duration};

use actix_service::Service;
use actix_tls::connect::{ConnectError, ConnectInfo, Connection};
use awc::http::Uri;
use base64::{Engine, engine::general_purpose::STANDARD};
use futures_util::future::LocalBoxFuture;
use secrecy::{ExposeSecret, SecretString};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::settings::ProxySettings;

/// The head of a proxy's answer is not read beyond this.
const LONGEST_HEAD: usize = 16 << 10;
/// More header fields than any proxy adds.
const MOST_FIELDS: usize = 100;
/// Words of a proxy are cut to so many characters.
const LONGEST_REASON: usize = 100;

/// Why there is no way through the proxy. Nothing was sent to the Client System.
#[derive(Debug, thiserror::Error)]
pub enum TunnelFault {
    /// Nobody knows the proxy's name.
    #[error(
        "the name of the proxy {proxy} cannot be resolved ({cause}); check HTTPS_PROXY and the name service of this machine"
    )]
    NameUnknown {
        /// Host and port.
        proxy: String,
        /// Why.
        cause: io::Error,
    },
    /// Nobody listens there.
    #[error(
        "the proxy {0} refuses the connection: it does not run, or listens elsewhere; check HTTPS_PROXY"
    )]
    Refused(String),
    /// No connection to the proxy, or it broke off before the proxy had answered.
    #[error(
        "the proxy {proxy} cannot be reached or broke off ({cause}); check HTTPS_PROXY and the network of this machine"
    )]
    Broken {
        /// Host and port.
        proxy: String,
        /// Why.
        cause: io::Error,
    },
    /// The proxy takes too long.
    #[error(
        "the proxy {proxy} gave no connection to {target} within {} ms; it is overloaded, cannot be reached, or waits for {target} itself",
        .waited.as_millis()
    )]
    TimedOut {
        /// Host and port.
        proxy: String,
        /// What it should connect to.
        target: String,
        /// How long it had.
        waited: Duration,
    },
    /// What answers is no proxy.
    #[error("what answers at {proxy} does not answer as a proxy does ({why}); check HTTPS_PROXY")]
    Stranger {
        /// Host and port.
        proxy: String,
        /// What was seen.
        why: String,
    },
    /// The proxy says no.
    #[error("the proxy {proxy} {}", refusal(*.status, .target, .reason))]
    Answered {
        /// Host and port.
        proxy: String,
        /// What it should connect to.
        target: String,
        /// HTTP status, not of success.
        status: u16,
        /// The proxy's words.
        reason: String,
    },
}

fn refusal(status: u16, target: &str, reason: &str) -> String {
    let said = format!("{status} {reason}");
    let said = said.trim_end();
    match status {
        // Some proxies answer wrong names and passwords as a server would, with 401.
        401 | 407 => format!(
            "wants a user name and password, or does not accept those in HTTPS_PROXY ({said}); have whoever runs it name the right ones"
        ),
        403 => format!(
            "does not allow connections to {target} ({said}); have whoever runs it allow them"
        ),
        500 | 502 | 503 | 504 => format!(
            "could not reach {target} ({said}): the Client System is away, or the proxy does not know its name or has no way there; if it lasts, ask whoever runs the proxy"
        ),
        _ => format!(
            "does not open a connection to {target} ({said}); it may know no CONNECT, or another address is meant: check HTTPS_PROXY"
        ),
    }
}

/// A proxy, ready to be asked.
#[derive(Debug)]
pub(super) struct Tunnel {
    host: String,
    port: u16,
    authorization: Option<SecretString>,
    patience: Duration,
}

impl Tunnel {
    /// Through this proxy, which has to give a connection within `patience`.
    pub(super) fn new(proxy: &ProxySettings, patience: Duration) -> Self {
        let authorization = proxy.credentials.as_ref().map(|credentials| {
            let encoded = STANDARD.encode(credentials.expose_secret());
            SecretString::from(format!("Basic {encoded}"))
        });
        Self {
            host: proxy.host.clone(),
            port: proxy.port,
            authorization,
            patience,
        }
    }

    /// A connection that leads to `target`, `HOST:PORT`.
    ///
    /// # Errors
    /// When the proxy cannot be reached, refuses, or takes longer than it may.
    pub(super) async fn open(&self, target: &str) -> Result<TcpStream, TunnelFault> {
        let opened = async {
            let mut stream = self.reach().await?;
            self.ask(&mut stream, target).await?;
            Ok(stream)
        };
        tokio::time::timeout(self.patience, opened)
            .await
            .unwrap_or_else(|_| {
                Err(TunnelFault::TimedOut {
                    proxy: self.shown(),
                    target: target.to_owned(),
                    waited: self.patience,
                })
            })
    }

    fn shown(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    async fn reach(&self) -> Result<TcpStream, TunnelFault> {
        let name = self.host.trim_matches(['[', ']']);
        let addresses: Vec<_> = tokio::net::lookup_host((name, self.port))
            .await
            .map_err(|cause| TunnelFault::NameUnknown {
                proxy: self.shown(),
                cause,
            })?
            .collect();
        TcpStream::connect(&addresses[..])
            .await
            .map_err(|cause| match cause.kind() {
                io::ErrorKind::ConnectionRefused => TunnelFault::Refused(self.shown()),
                _ => self.broken(cause),
            })
    }

    async fn ask(&self, stream: &mut TcpStream, target: &str) -> Result<(), TunnelFault> {
        let agent = concat!("meterit-sync/", env!("CARGO_PKG_VERSION"));
        let mut request =
            format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\nUser-Agent: {agent}\r\n");
        if let Some(authorization) = &self.authorization {
            request += &format!("Proxy-Authorization: {}\r\n", authorization.expose_secret());
        }
        request += "\r\n";
        stream
            .write_all(request.as_bytes())
            .await
            .map_err(|cause| self.broken(cause))?;
        let (status, reason) = self.read_head(stream).await?;
        match status {
            200..=299 => Ok(()),
            _ => Err(TunnelFault::Answered {
                proxy: self.shown(),
                target: target.to_owned(),
                status,
                reason,
            }),
        }
    }

    /// Reads up to the end of the head. What follows belongs to the Client System, which never speaks first.
    async fn read_head(&self, stream: &mut TcpStream) -> Result<(u16, String), TunnelFault> {
        let mut head = Vec::with_capacity(1024);
        loop {
            let room = (LONGEST_HEAD - head.len()) as u64;
            if room == 0 {
                return Err(self.stranger(format!("its answer goes on for {LONGEST_HEAD} bytes")));
            }
            let read = (&mut *stream).take(room).read_buf(&mut head).await;
            if read.map_err(|cause| self.broken(cause))? == 0 {
                return Err(self.broken(io::ErrorKind::UnexpectedEof.into()));
            }
            if let Some((length, status, reason)) = self.parse(&head)? {
                let is_success = (200..300).contains(&status);
                return match head.len() == length || !is_success {
                    true => Ok((status, reason)),
                    false => Err(self.stranger("it says more than it was asked".to_owned())),
                };
            }
        }
    }

    /// Length, status and words of a head; none where it is not complete yet.
    fn parse(&self, head: &[u8]) -> Result<Option<(usize, u16, String)>, TunnelFault> {
        let mut fields = [httparse::EMPTY_HEADER; MOST_FIELDS];
        let mut answer = httparse::Response::new(&mut fields);
        let parsed = answer
            .parse(head)
            .map_err(|error| self.stranger(format!("its answer is not HTTP: {error}")))?;
        let httparse::Status::Complete(length) = parsed else {
            return Ok(None);
        };
        let reason = answer.reason.unwrap_or_default();
        let reason = reason.chars().take(LONGEST_REASON).collect();
        Ok(Some((length, answer.code.unwrap_or_default(), reason)))
    }

    fn broken(&self, cause: io::Error) -> TunnelFault {
        TunnelFault::Broken {
            proxy: self.shown(),
            cause,
        }
    }

    fn stranger(&self, why: String) -> TunnelFault {
        TunnelFault::Stranger {
            proxy: self.shown(),
            why,
        }
    }
}

/// Takes the place of the client's own way to a TCP connection.
#[derive(Clone, Debug)]
pub(super) struct TunnelConnector(pub(super) Rc<Tunnel>);

impl Service<ConnectInfo<Uri>> for TunnelConnector {
    type Response = Connection<Uri, TcpStream>;
    type Error = ConnectError;
    type Future = LocalBoxFuture<'static, Result<Self::Response, Self::Error>>;

    actix_service::always_ready!();

    fn call(&self, wanted: ConnectInfo<Uri>) -> Self::Future {
        let tunnel = self.0.clone();
        Box::pin(async move {
            let target = format!("{}:{}", wanted.hostname(), wanted.port());
            match tunnel.open(&target).await {
                // The server's name for TLS is taken from the address, so that it is the Client System's.
                Ok(stream) => Ok(Connection::new(wanted.request().clone(), stream)),
                Err(fault) => Err(ConnectError::Io(io::Error::other(fault))),
            }
        })
    }
}

#[cfg(test)]
#[path = "tunnel_tests.rs"]
mod tests;
