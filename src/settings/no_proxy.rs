//! NO_PROXY as it is customary: what is reached without a proxy.

use std::net::IpAddr;

use ipnet::IpNet;

/// What is reached without a proxy.
#[derive(Clone, Debug)]
pub(super) struct NoProxy(Vec<Exception>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Exception {
    Everything,
    Network(IpNet),
    Address(IpAddr, Option<u16>),
    /// A host, and all below it, in lower case.
    Domain(String, Option<u16>),
}

impl NoProxy {
    /// Reads a list whose entries are separated by commas or blanks.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        text.split(|character: char| character == ',' || character.is_whitespace())
            .filter(|entry| !entry.is_empty())
            .map(|entry| {
                Exception::parse(entry)
                    .ok_or_else(|| format!("`{entry}` is no host, IP address or network"))
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Whether this host (an IPv6 address in brackets) is reached without a proxy. Names are not resolved: a network says
    /// nothing about them.
    pub(super) fn contain(&self, host: &str, port: u16) -> bool {
        let host = unbracketed(host).trim_end_matches('.').to_ascii_lowercase();
        let address: Option<IpAddr> = host.parse().ok();
        self.0
            .iter()
            .any(|exception| exception.matches(&host, address, port))
    }
}

impl Exception {
    fn parse(entry: &str) -> Option<Self> {
        if entry == "*" {
            return Some(Self::Everything);
        }
        if entry.contains('/') {
            return entry.parse().ok().map(Self::Network);
        }
        // Without brackets every colon of an IPv6 address is its own.
        if let Ok(address) = unbracketed(entry).parse() {
            return Some(Self::Address(address, None));
        }
        let (host, port) = match entry.rsplit_once(':') {
            Some((host, port)) => (host, Some(port.parse().ok().filter(|port| *port > 0)?)),
            None => (entry, None),
        };
        if let Ok(address) = unbracketed(host).parse() {
            return Some(Self::Address(address, port));
        }
        let host = host.strip_prefix('*').unwrap_or(host);
        let domain = host.trim_matches('.').to_ascii_lowercase();
        let is_name = |part: char| part.is_alphanumeric() || matches!(part, '.' | '-' | '_');
        (!domain.is_empty() && domain.chars().all(is_name)).then_some(Self::Domain(domain, port))
    }

    fn matches(&self, host: &str, address: Option<IpAddr>, at: u16) -> bool {
        match self {
            Self::Everything => true,
            Self::Network(network) => address.is_some_and(|address| network.contains(&address)),
            Self::Address(excepted, port) => {
                address == Some(*excepted) && port.is_none_or(|port| port == at)
            }
            Self::Domain(domain, port) => {
                let is_below = host
                    .strip_suffix(domain.as_str())
                    .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
                is_below && port.is_none_or(|port| port == at)
            }
        }
    }
}

fn unbracketed(host: &str) -> &str {
    host.strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_excepted_as_is_customary() {
        let cases = [
            ("*", "anything.example", true),
            ("example.com", "example.com", true),
            ("example.com", "client.Example.COM.", true),
            (".example.com", "client.example.com", true),
            ("*.example.com", "client.example.com", true),
            (".example.com", "example.com", true),
            ("example.com", "counterexample.com", false),
            ("localhost, example.com", "example.com", true),
            ("localhost example.com:443", "example.com", true),
            ("example.com:8443", "example.com", false),
            ("192.0.2.7", "192.0.2.7", true),
            ("192.0.2.7:443", "192.0.2.7", true),
            ("192.0.2.7:80", "192.0.2.7", false),
            ("192.0.2.7", "192.0.2.70", false),
            ("10.0.0.0/8", "10.1.2.3", true),
            ("10.0.0.0/8", "11.1.2.3", false),
            ("10.0.0.0/8", "ten.example.com", false),
            ("2001:db8::/32", "[2001:db8::7]", true),
            ("2001:db8::7", "[2001:db8::7]", true),
            ("[2001:db8::7]:443", "[2001:db8::7]", true),
            ("[2001:db8::7]:80", "[2001:db8::7]", false),
            ("", "example.com", false),
        ];
        for (list, host, expected) in cases {
            let exceptions = NoProxy::parse(list).expect(list);
            assert_eq!(exceptions.contain(host, 443), expected, "{list} and {host}");
        }
    }

    #[test]
    fn what_can_match_nothing_is_refused() {
        for list in [
            "10.0.0.0/33",
            "example.com:port",
            "example.com:0",
            "a,http://b",
            ".",
            "a;b",
        ] {
            assert!(NoProxy::parse(list).is_err(), "{list}");
        }
    }
}
