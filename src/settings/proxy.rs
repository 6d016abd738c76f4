//! The proxy that a site's network prescribes, and what is reached without it.

use std::fmt;

use awc::http::uri::Authority;
use percent_encoding::percent_decode_str;
use secrecy::SecretString;

use super::{no_proxy::NoProxy, reader::Reader, url::masked};

const PROXY_ALLOWED: &str = "the address of an HTTP proxy such as http://proxy.example.com:3128 or http://USER:PASSWORD@proxy.example.com:3128";
const NO_PROXY_ALLOWED: &str = "a list such as localhost,example.com,192.0.2.7,10.0.0.0/8,*";
/// As in any address that begins with `http://`.
const PORT: u16 = 80;

/// A proxy that connections are asked of with CONNECT. Shows no secret.
#[derive(Clone, Debug)]
pub struct ProxySettings {
    /// Its name or address, an IPv6 address in brackets.
    pub host: String,
    /// Its port, 1 to 65535.
    pub port: u16,
    /// `USER:PASSWORD`, decoded; none where it is asked without.
    pub credentials: Option<SecretString>,
}

impl ProxySettings {
    /// The proxy on the way to this host (an IPv6 address in brackets) and port; the inner option is none where there is
    /// no proxy, or NO_PROXY excepts that host. The outer one is none where a setting is wrong.
    pub(super) fn read(reader: &mut Reader, host: &str, port: u16) -> Option<Option<Self>> {
        let proxy = optional(reader, "https_proxy", PROXY_ALLOWED, Self::parse_shown);
        let exceptions = optional(reader, "no_proxy", NO_PROXY_ALLOWED, |text| {
            NoProxy::parse(text).map(|exceptions| (exceptions, text.to_owned()))
        });
        let (proxy, exceptions) = (proxy?, exceptions?);
        Some(proxy.filter(|_| !exceptions.is_some_and(|exceptions| exceptions.contain(host, port))))
    }

    fn parse_shown(text: &str) -> Result<(Self, String), String> {
        Ok((Self::parse(text)?, masked(text)))
    }

    fn parse(text: &str) -> Result<Self, String> {
        let rest = match text.split_once("://") {
            None => text,
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => rest,
            Some((scheme, _)) if scheme.eq_ignore_ascii_case("https") => {
                return Err(
                    "a proxy that itself speaks TLS is not supported; https:// addresses are reached through an http:// one, and their TLS passes through it"
                        .to_owned(),
                );
            }
            Some(_) => return Err("it does not begin with http://".to_owned()),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        // A password may hold anything, an address no @.
        let (user_info, address) = match rest.rsplit_once('@') {
            Some((user_info, address)) => (Some(user_info), address),
            None => (None, rest),
        };
        let authority: Authority = address
            .parse()
            .map_err(|_| "host and port cannot be understood".to_owned())?;
        let host = authority.host().to_owned();
        let port = match address.strip_prefix(host.as_str()) {
            Some("") => Some(PORT),
            _ => authority.port_u16().filter(|port| *port > 0),
        };
        match port {
            _ if host.is_empty() => Err("it has no host".to_owned()),
            None => Err("its port is not a number from 1 to 65535".to_owned()),
            Some(port) => Ok(Self {
                host,
                port,
                credentials: user_info.map(credentials).transpose()?,
            }),
        }
    }
}

/// Host and port.
impl fmt::Display for ProxySettings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.host, self.port)
    }
}

fn credentials(user_info: &str) -> Result<SecretString, String> {
    let (user, password) = user_info.split_once(':').unwrap_or((user_info, ""));
    let decoded = |text: &str| {
        let decoded = percent_decode_str(text).decode_utf8().ok()?;
        (!decoded.chars().any(char::is_control)).then(|| decoded.into_owned())
    };
    match (decoded(user), decoded(password)) {
        (Some(user), _) if user.contains(':') => {
            Err("a user name with a colon in it cannot be told to a proxy".to_owned())
        }
        (Some(user), Some(password)) => Ok(SecretString::from(format!("{user}:{password}"))),
        _ => Err("user name or password hold characters that are no text".to_owned()),
    }
}

/// A setting that need not be there, with its row for the report. The outer option is none where it is wrong.
fn optional<T>(
    reader: &mut Reader,
    name: &'static str,
    allowed: &str,
    parse: impl FnOnce(&str) -> Result<(T, String), String>,
) -> Option<Option<T>> {
    if reader.given(name).is_none() {
        return Some(None);
    }
    let (value, shown) = reader.text(name, allowed, parse)?;
    reader.show_given(name, shown);
    Some(Some(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

    #[test]
    fn addresses_are_read_as_people_write_them() {
        let cases = [
            (
                "http://proxy.example.com:3128",
                "proxy.example.com:3128",
                None,
            ),
            ("proxy.example.com:3128", "proxy.example.com:3128", None),
            ("HTTP://proxy/", "proxy:80", None),
            ("http://[2001:db8::1]:8080", "[2001:db8::1]:8080", None),
            ("http://u:p@proxy:1", "proxy:1", Some("u:p")),
            (
                "http://d%5Cu:p%40s%25@proxy:1",
                "proxy:1",
                Some("d\\u:p@s%"),
            ),
            ("http://u:p@/s@proxy:1", "proxy:1", Some("u:p@/s")),
            ("http://token@proxy:1", "proxy:1", Some("token:")),
        ];
        for (text, address, credentials) in cases {
            let proxy = ProxySettings::parse(text).expect(text);
            assert_eq!(proxy.to_string(), address);
            let found = proxy.credentials.as_ref().map(ExposeSecret::expose_secret);
            assert_eq!(found, credentials, "{text}");
        }
    }

    #[test]
    fn what_is_no_such_address_is_refused() {
        for (text, why) in [
            ("https://proxy:3128", "TLS"),
            ("socks5://proxy:1080", "http://"),
            ("http://", "understood"),
            ("http://:3128", "no host"),
            ("http://proxy:0", "port"),
            ("http://proxy:99999", "port"),
            ("http://proxy:3128/path", "understood"),
            ("http://u:p%0A@proxy:1", "no text"),
            ("http://u%3Av:p@proxy:1", "colon"),
        ] {
            let refused = ProxySettings::parse(text).expect_err(text);
            assert!(refused.contains(why), "{text}: {refused}");
        }
    }
}
