//! Where the running service is: an address that was given, or the one that the settings give it.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
    str::FromStr,
    sync::Arc,
};

use awc::http::Uri;
use clap::Args;
use rustls::ClientConfig;
use secrecy::SecretString;

use super::{failure::Failure, trust};
use crate::{
    domain::host::is_this_machine,
    settings::{LoadOptions, LocalApiSettings, Settings},
};

/// Arguments that say where the running service is, and how it is known again.
#[derive(Clone, Debug, Default, Args)]
pub(in crate::cli) struct ServiceAddress {
    /// Address of the running service, such as http://127.0.0.1:3002; without it, LOCAL_API_HOST and LOCAL_API_PORT
    /// of the settings say where it is
    #[arg(long, value_name = "URL")]
    url: Option<ServiceUrl>,
    /// Trust the certificates in this file (PEM) where the service speaks HTTPS, besides those of public authorities; without
    /// it, LOCAL_TLS_CERT_FILE of the settings is trusted
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Send the token to another machine though --url begins with http://: everybody on the way can read it then. Only where
    /// something else protects the way, such as a VPN
    #[arg(long, requires = "url")]
    allow_http: bool,
}

/// A service, and what is needed to be let in there.
#[derive(Clone, Debug)]
pub(in crate::cli) struct Destination {
    /// Where it is.
    pub(in crate::cli) url: ServiceUrl,
    /// Goes along with every call, where the settings know one.
    pub(in crate::cli) token: Option<SecretString>,
    /// How its certificate is judged; none for HTTP.
    pub(in crate::cli) tls: Option<Arc<ClientConfig>>,
}

impl ServiceAddress {
    /// The address that was given, else the one of the settings; of these no more is read than what is about the local API.
    ///
    /// # Errors
    /// When the settings or a file of certificates cannot be used, or the settings leave the port to the operating system.
    pub(in crate::cli) fn resolve(
        &self,
        config_file: Option<PathBuf>,
    ) -> Result<Destination, Failure> {
        let loaded = Settings::load_local_api(&LoadOptions::from_process(config_file))?;
        let settings = loaded.settings;
        let url = match &self.url {
            Some(url) => url.clone(),
            None => ServiceUrl::of(&settings)?,
        };
        // Whatever the command is for, this one is good for it.
        let token = settings
            .control_token
            .clone()
            .or_else(|| settings.read_token.clone());
        // What the settings name is an address of this machine: nothing that is sent there leaves it.
        let is_elsewhere = self.url.is_some()
            && !url.is_of_this_machine()
            && ServiceUrl::of(&settings).ok().as_ref() != Some(&url);
        if token.is_some() && is_elsewhere && !url.is_encrypted() && !self.allow_http {
            return Err(Failure::Arguments(format!(
                "the token would go to {url}, another machine, in plain http, where everybody on the way could read it, so nothing was asked; use https:// (LOCAL_TLS_CERT_FILE there), or --allow-http where something else protects the way, such as a VPN"
            )));
        }
        let known = settings.tls.as_ref().map(|tls| &tls.cert_file);
        let trusted = self.ca_file.as_ref().or(known);
        let tls = url
            .is_encrypted()
            .then(|| trust::trusting(trusted.map(PathBuf::as_path)));
        Ok(Destination {
            url,
            tls: tls.transpose()?,
            token,
        })
    }
}

/// The base address of a service: `http` or `https`, a host, a port; a path where something before the service adds one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) struct ServiceUrl {
    base: String,
    /// Where to connect; none where a name has to be resolved first.
    pub(super) socket: Option<SocketAddr>,
}

impl ServiceUrl {
    fn of(settings: &LocalApiSettings) -> Result<Self, Failure> {
        if settings.port == 0 {
            return Err(Failure::Arguments(
                "LOCAL_API_PORT is 0, so the service takes any free port and nobody knows here which one; its log says it, \
                 give it with --url http://127.0.0.1:PORT"
                    .to_owned(),
            ));
        }
        let socket = SocketAddr::new(reachable(settings.host), settings.port);
        let base = match (&settings.tls, socket.ip()) {
            (None, _) => format!("http://{socket}"),
            (Some(_), IpAddr::V4(_)) => format!("https://{socket}"),
            // In brackets, an address is no name that a certificate could be asked for.
            (Some(_), IpAddr::V6(_)) => format!("https://localhost:{}", settings.port),
        };
        Ok(Self {
            base,
            socket: Some(socket),
        })
    }

    /// Whether it speaks TLS.
    fn is_encrypted(&self) -> bool {
        self.base.starts_with("https:")
    }

    /// Whether it leads to this machine itself.
    fn is_of_this_machine(&self) -> bool {
        let uri: Option<Uri> = self.base.parse().ok();
        uri.is_some_and(|uri| uri.host().is_some_and(is_this_machine))
    }

    /// The address of a path that begins with a slash.
    pub(in crate::cli) fn join(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }
}

/// Whoever listens on all addresses of a machine is met on its own one.
fn reachable(host: IpAddr) -> IpAddr {
    match host {
        IpAddr::V4(address) if address.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(address) if address.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        other => other,
    }
}

impl fmt::Display for ServiceUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.base)
    }
}

impl FromStr for ServiceUrl {
    type Err = String;

    /// Reads `http://HOST:PORT` or `https://HOST:PORT`; the error says why not, and what is expected.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text).map_err(|why| {
            format!("{why}; an address such as http://127.0.0.1:3002 is expected, without user name and query")
        })
    }
}

fn parse(text: &str) -> Result<ServiceUrl, String> {
    let uri: Uri = text
        .parse()
        .map_err(|error| format!("it is no address ({error})"))?;
    let own_port = match uri.scheme_str() {
        Some("http") => 80,
        Some("https") => 443,
        _ => return Err("it does not begin with http:// or https://".to_owned()),
    };
    let Some(authority) = uri.authority().filter(|found| !found.host().is_empty()) else {
        return Err("it has no host".to_owned());
    };
    // Fragments never get this far: what parses an address for a request drops them.
    if authority.as_str().contains('@') || uri.query().is_some() || text.contains('#') {
        return Err("it holds more than scheme, host, port and path".to_owned());
    }
    let port = match authority.as_str().strip_prefix(authority.host()) {
        Some("") => own_port,
        _ => authority
            .port_u16()
            .filter(|port| *port > 0)
            .ok_or("its port is not a number from 1 to 65535")?,
    };
    let host = authority
        .host()
        .trim_start_matches('[')
        .trim_end_matches(']');
    Ok(ServiceUrl {
        base: text.trim_end_matches('/').to_owned(),
        socket: host.parse().ok().map(|host| SocketAddr::new(host, port)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(host: &str, port: u16) -> LocalApiSettings {
        let settings = Settings::from_overrides(&[
            ("client_api_url", "https://client.example"),
            ("client_api_key", "key"),
        ]);
        LocalApiSettings {
            host: host.parse().expect("an address"),
            port,
            ..settings.expect("settings").local_api
        }
    }

    #[test]
    fn the_settings_say_where_the_service_is() {
        for (host, url) in [
            ("127.0.0.1", "http://127.0.0.1:3002"),
            ("0.0.0.0", "http://127.0.0.1:3002"),
            ("::1", "http://[::1]:3002"),
            ("::", "http://[::1]:3002"),
            ("192.0.2.7", "http://192.0.2.7:3002"),
        ] {
            let found = ServiceUrl::of(&settings(host, 3002)).expect(host);
            assert_eq!(found.to_string(), url);
            assert_eq!(Ok(found), url.parse(), "both ways lead to the same");
        }
        let refused = ServiceUrl::of(&settings("127.0.0.1", 0)).expect_err("nobody knows the port");
        assert!(refused.to_string().contains("--url"), "{refused}");
    }

    #[test]
    fn what_stays_on_the_machine_is_told_from_what_leaves_it() {
        for (text, stays) in [
            ("http://localhost:3002", true),
            ("http://127.0.0.1/sync", true),
            ("http://[::1]:3002", true),
            ("http://edge-7:3002", false),
            ("http://192.0.2.7", false),
            ("http://localhost.example.com", false),
        ] {
            let url: ServiceUrl = text.parse().expect("an address");
            assert_eq!(url.is_of_this_machine(), stays, "{text}");
        }
    }

    #[test]
    fn addresses_are_read_as_people_write_them() {
        let socket = |text: &str| text.parse::<ServiceUrl>().expect(text).socket;
        assert_eq!(socket("http://localhost:3002"), None);
        assert_eq!(
            socket("http://127.0.0.1/"),
            Some(([127, 0, 0, 1], 80).into())
        );
        assert_eq!(
            socket("https://127.0.0.1"),
            Some(([127, 0, 0, 1], 443).into())
        );
        let behind_another: ServiceUrl = "http://edge:80/sync/".parse().expect("an address");
        assert_eq!(behind_another.join("/status"), "http://edge:80/sync/status");
        for text in [
            "",
            "127.0.0.1:3002",
            "localhost",
            "ftp://127.0.0.1",
            "http://",
            "http://user:secret@127.0.0.1:3002",
            "http://127.0.0.1:0",
            "http://127.0.0.1:99999",
            "http://127.0.0.1:",
            "http://127.0.0.1:3002/?wait=true",
            "http://127.0.0.1:3002/#top",
            "http://a b",
        ] {
            let refused = text.parse::<ServiceUrl>();
            assert!(
                refused.is_err_and(|words| words.contains("http://127.0.0.1:3002")),
                "{text}"
            );
        }
    }
}
