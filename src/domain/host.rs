//! Which host is the machine itself.

use std::net::IpAddr;

/// Whether a host, by name or address, is this machine itself wherever it is asked for; an IPv6 address may be in brackets.
pub fn is_this_machine(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || bare
            .parse::<IpAddr>()
            .is_ok_and(|address| address.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_is_this_machine_everywhere() {
        for host in [
            "localhost",
            "LocalHost",
            "127.0.0.1",
            "127.9.9.9",
            "::1",
            "[::1]",
            "[::ffff:127.0.0.1]",
        ] {
            assert!(is_this_machine(host), "{host}");
        }
        for host in [
            "",
            "edge-7",
            "localhost.example.com",
            "0.0.0.0",
            "192.0.2.7",
            "[::]",
            "[2001:db8::1]",
        ] {
            assert!(!is_this_machine(host), "{host}");
        }
    }
}
