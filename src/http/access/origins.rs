//! By which names this machine is called, and whose pages may ask through a browser. A name that an attacker lets point to
//! this machine (DNS rebinding) is none of ours, and a page from elsewhere cannot change or see anything, whatever
//! method it uses.

use std::net::{IpAddr, Ipv4Addr};

use actix_cors::Cors;
use actix_web::{
    dev::RequestHead,
    http::{
        Method, Uri,
        header::{
            AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue, ORIGIN, RETRY_AFTER, WWW_AUTHENTICATE,
        },
    },
};

use super::Access;
use crate::domain::host::is_this_machine;

/// How long a browser remembers what it may do, in seconds.
const PREFLIGHT_AGE: usize = 3_600;
/// What assistants that live in a page send along to `/mcp`.
const OF_ASSISTANTS: [&str; 5] = [
    "accept",
    "mcp-protocol-version",
    "mcp-session-id",
    "mcp-method",
    "mcp-name",
];
/// Where a browser tells whose page asks, also where it sends no `Origin`.
const FETCH_SITE: &str = "sec-fetch-site";
const FETCH_MODE: &str = "sec-fetch-mode";
/// The ports that browsers leave out.
const HTTP: u16 = 80;
const HTTPS: u16 = 443;

/// Where the local API listens, and what follows from that for who may ask.
#[derive(Clone, Debug)]
pub struct Rules {
    /// The address that it listens on.
    pub listens_on: IpAddr,
    /// The port that it was told to listen on; tells services on one machine apart.
    pub port: u16,
    /// By which other names the machine is called, in lower case, without ports.
    pub names: Vec<String>,
    /// Whether it speaks TLS, so that no cookie is sent without.
    pub encrypted: bool,
    /// Whether pages of this machine may ask, at whatever port.
    pub same_host: bool,
    /// Origins whose pages may ask as well, as browsers write them.
    pub origins: Vec<String>,
    /// Whether pages of this machine may start an upload as the Sync Frontend does, without a token.
    pub frontend_without_token: bool,
    /// Whether pages of this machine may look at what the Sync Frontend shows, without a token.
    pub frontend_reads_without_token: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            listens_on: Ipv4Addr::LOCALHOST.into(),
            port: 0,
            names: Vec::new(),
            encrypted: false,
            same_host: true,
            origins: Vec::new(),
            frontend_without_token: true,
            frontend_reads_without_token: false,
        }
    }
}

/// A host and a port, as far as both are told.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    host: String,
    port: Option<u16>,
}

impl Place {
    fn of(uri: &Uri) -> Option<Self> {
        let own_port = match uri.scheme_str() {
            Some("http") => Some(HTTP),
            Some("https") => Some(HTTPS),
            _ => None,
        };
        let host = uri.host()?.trim_start_matches('[').trim_end_matches(']');
        Some(Self {
            host: host.to_ascii_lowercase(),
            port: uri.port_u16().or(own_port),
        })
    }

    fn address(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }

    fn is_loopback(&self) -> bool {
        is_this_machine(&self.host)
    }
}

impl Rules {
    /// What a session is called in browsers, which do not tell the ports of a host apart.
    pub(in crate::http) fn cookie_name(&self) -> String {
        format!("meterit-session-{}", self.port)
    }

    /// The first name that a request calls this machine by and that is none of its own.
    pub(super) fn foreign_host(&self, head: &RequestHead) -> Option<String> {
        let named = head.headers().get_all(HOST).map(shown);
        let in_address = head.uri.authority().map(ToString::to_string);
        named
            .chain(in_address)
            .find(|host| !parsed(host).is_some_and(|place| self.knows(&place)))
    }

    fn knows(&self, place: &Place) -> bool {
        let is_address = place.address().is_some_and(|address| {
            // An address is no name that could be let point here; which ones the machine has changes by itself.
            self.listens_on.is_unspecified() || address == self.listens_on
        });
        place.is_loopback() || is_address || self.names.contains(&place.host)
    }

    /// Whose page asks, where it may not.
    pub(super) fn foreign_origin(&self, head: &RequestHead) -> Option<String> {
        let mut origins = head.headers().get_all(ORIGIN).peekable();
        if origins.peek().is_none() {
            return is_from_elsewhere(head).then(|| "elsewhere".to_owned());
        }
        origins.find(|origin| !self.allows(origin, head)).map(shown)
    }

    fn allows(&self, origin: &HeaderValue, head: &RequestHead) -> bool {
        let Some(page) = page(origin) else {
            return false;
        };
        self.is_own(&page, head)
            || (self.same_host && self.is_of_this_machine(&page, head))
            || self
                .origins
                .iter()
                .any(|known| known.as_bytes().eq_ignore_ascii_case(origin.as_bytes()))
    }

    /// A page at `localhost` is of the machine of whoever looks at it, which is this one only where the request stays there.
    fn is_of_this_machine(&self, page: &Place, head: &RequestHead) -> bool {
        let asked = asked(head);
        if page.is_loopback() {
            return asked.is_none_or(|asked| asked.is_loopback());
        }
        self.names.contains(&page.host) || asked.is_some_and(|asked| asked.host == page.host)
    }

    /// Whether a page of this machine asks, at whatever port.
    pub(super) fn is_page_of_this_machine(&self, head: &RequestHead) -> bool {
        let origin = head.headers().get(ORIGIN);
        origin
            .and_then(page)
            .is_some_and(|page| self.is_of_this_machine(&page, head))
    }

    /// Whether the service's own page asks, or a person who typed the address in.
    pub(super) fn is_own_page(&self, head: &RequestHead) -> bool {
        let looks = matches!(head.method, Method::GET | Method::HEAD);
        let from = told(head, FETCH_SITE);
        if let Some(origin) = head.headers().get(ORIGIN) {
            let is_own = page(origin).is_some_and(|page| self.is_own(&page, head));
            return is_own && matches!(from, None | Some(b"same-origin"));
        }
        match from {
            Some(b"same-origin" | b"none") => true,
            Some(_) => looks && is_navigation(head),
            None => looks,
        }
    }

    /// The page that asks, where it is none of the service's own; none also where no page tells of itself.
    pub(super) fn page_of_others(&self, head: &RequestHead) -> Option<String> {
        let origin = head.headers().get(ORIGIN)?;
        let is_own = page(origin).is_some_and(|page| self.is_own(&page, head));
        (!is_own).then(|| shown(origin))
    }

    /// Where the request tells no port, it came to that of a scheme: to that of https where this is what is spoken here, and
    /// to either where a proxy may speak it to others.
    fn is_own(&self, page: &Place, head: &RequestHead) -> bool {
        let own_ports = if self.encrypted {
            &[HTTPS][..]
        } else {
            &[HTTP, HTTPS]
        };
        asked(head).is_some_and(|asked| {
            asked.host == page.host
                && match asked.port {
                    Some(port) => page.port == Some(port),
                    None => page.port.is_some_and(|port| own_ports.contains(&port)),
                }
        })
    }
}

/// A page from elsewhere asks for a script or a picture, say; a link to here is fine.
fn is_from_elsewhere(head: &RequestHead) -> bool {
    let looks = matches!(head.method, Method::GET | Method::HEAD);
    told(head, FETCH_SITE) == Some(b"cross-site") && !(looks && is_navigation(head))
}

fn is_navigation(head: &RequestHead) -> bool {
    told(head, FETCH_MODE) == Some(b"navigate")
}

fn told<'a>(head: &'a RequestHead, name: &str) -> Option<&'a [u8]> {
    head.headers().get(name).map(HeaderValue::as_bytes)
}

/// What the request calls this machine; it was looked at before whether that is a name of its own.
fn asked(head: &RequestHead) -> Option<Place> {
    match head.uri.authority() {
        Some(authority) => parsed(authority.as_str()),
        None => head
            .headers()
            .get(HOST)
            .map(shown)
            .and_then(|host| parsed(&host)),
    }
}

fn page(origin: &HeaderValue) -> Option<Place> {
    let uri: Uri = origin.to_str().ok()?.parse().ok()?;
    uri.scheme()?;
    Place::of(&uri)
}

fn parsed(host: &str) -> Option<Place> {
    Place::of(&host.parse().ok()?)
}

fn shown(value: &HeaderValue) -> String {
    String::from_utf8_lossy(value.as_bytes()).into_owned()
}

/// What pages may do that may ask at all.
pub(in crate::http) fn cors(access: &Access) -> Cors {
    let access = access.clone();
    Cors::default()
        .allowed_origin_fn(move |origin, head| access.rules().allows(origin, head))
        .allowed_methods(["GET", "POST"])
        .allowed_headers([CONTENT_TYPE, AUTHORIZATION])
        .allowed_headers(OF_ASSISTANTS)
        .expose_headers([RETRY_AFTER, WWW_AUTHENTICATE])
        .max_age(PREFLIGHT_AGE)
}

#[cfg(test)]
#[path = "origins_tests.rs"]
mod tests;
