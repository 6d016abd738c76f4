//! Where the running service is: an address that was given, or the one that the settings give it.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
    str::FromStr,
};

use awc::http::Uri;
use clap::Args;

use super::failure::Failure;
use crate::settings::{LoadOptions, LocalApiSettings, Settings};

/// Arguments that say where the running service is.
#[derive(Clone, Debug, Default, Args)]
pub(in crate::cli) struct ServiceAddress {
    /// Address of the running service, such as http://127.0.0.1:3002; without it, LOCAL_API_HOST and LOCAL_API_PORT
    /// of the settings say where it is
    #[arg(long, value_name = "URL")]
    url: Option<ServiceUrl>,
}

impl ServiceAddress {
    /// The address that was given, else the one of the settings; of these no more is read than where the local API
    /// listens, and nothing at all where an address was given.
    ///
    /// # Errors
    /// When the settings cannot be used, or leave the port to the operating system.
    pub(in crate::cli) fn resolve(
        &self,
        config_file: Option<PathBuf>,
    ) -> Result<ServiceUrl, Failure> {
        if let Some(url) = &self.url {
            return Ok(url.clone());
        }
        let loaded = Settings::load_local_api(&LoadOptions::from_process(config_file))?;
        ServiceUrl::of(&loaded.settings)
    }
}

/// The base address of a service: `http`, a host, a port; a path where something before the service adds one.
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
        Ok(Self {
            base: format!("http://{socket}"),
            socket: Some(socket),
        })
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

    /// Reads `http://HOST:PORT`; the error says why not, and what is expected.
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
    match uri.scheme_str() {
        Some("http") => {}
        Some("https") => return Err("the local API speaks HTTP without TLS".to_owned()),
        _ => return Err("it does not begin with http://".to_owned()),
    }
    let Some(authority) = uri.authority().filter(|found| !found.host().is_empty()) else {
        return Err("it has no host".to_owned());
    };
    // Fragments never get this far: what parses an address for a request drops them.
    if authority.as_str().contains('@') || uri.query().is_some() || text.contains('#') {
        return Err("it holds more than scheme, host, port and path".to_owned());
    }
    let port = match authority.as_str().strip_prefix(authority.host()) {
        Some("") => 80,
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
            ("client_api_url", "http://client.example"),
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
    fn addresses_are_read_as_people_write_them() {
        let socket = |text: &str| text.parse::<ServiceUrl>().expect(text).socket;
        assert_eq!(socket("http://localhost:3002"), None);
        assert_eq!(
            socket("http://127.0.0.1/"),
            Some(([127, 0, 0, 1], 80).into())
        );
        let behind_another: ServiceUrl = "http://edge:80/sync/".parse().expect("an address");
        assert_eq!(behind_another.join("/status"), "http://edge:80/sync/status");
        for text in [
            "",
            "127.0.0.1:3002",
            "localhost",
            "https://127.0.0.1:3002",
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
