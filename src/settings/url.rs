//! The little that settings need to know about URLs: reading them, hiding what is secret in them, and composing them.

use std::fmt::Write;

use awc::http::Uri;

use crate::domain::host::is_this_machine;

const MASK: &str = "***";

/// The text with everything hidden that may be a password in a URL. Rather hides too much: a password may
/// itself contain `@`, `/` or `?`, so that the URL cannot be taken apart reliably.
pub(super) fn masked(text: &str) -> String {
    let (scheme, rest) = match text.find("://") {
        Some(position) => text.split_at(position + 3),
        None => ("", text),
    };
    let without_user_info = match rest.rsplit_once('@') {
        Some((user_info, host)) => match user_info.split_once(':') {
            Some((user, _)) => format!("{user}:{MASK}@{host}"),
            None => format!("{MASK}@{host}"),
        },
        None => rest.to_owned(),
    };
    format!("{scheme}{}", with_masked_parameters(&without_user_info))
}

fn with_masked_parameters(text: &str) -> String {
    let Some((path, query)) = text.split_once('?') else {
        return text.to_owned();
    };
    let parameters: Vec<String> = query.split('&').map(masked_parameter).collect();
    format!("{path}?{}", parameters.join("&"))
}

fn masked_parameter(parameter: &str) -> String {
    match parameter.split_once('=') {
        Some((name, _)) if name.to_ascii_lowercase().contains("pass") => format!("{name}={MASK}"),
        _ => parameter.to_owned(),
    }
}

/// Whether an address asks for TLS.
pub(super) fn is_encrypted(url: &str) -> bool {
    url.parse()
        .is_ok_and(|uri: Uri| uri.scheme_str() == Some("https"))
}

/// Whether an address leads to this machine itself.
pub(super) fn is_of_this_machine(url: &str) -> bool {
    host_and_port(url).is_some_and(|(host, _)| is_this_machine(&host))
}

/// Where an address leads; an IPv6 address is in brackets.
pub(super) fn host_and_port(url: &str) -> Option<(String, u16)> {
    let uri: Uri = url.parse().ok()?;
    let of_scheme = if is_encrypted(url) { 443 } else { 80 };
    Some((uri.host()?.to_owned(), uri.port_u16().unwrap_or(of_scheme)))
}

/// Reads the address of a server to which paths are appended; without a slash at its end. `hint` tells whoever writes a
/// user name into it where that belongs.
pub(super) fn base_url(text: &str, hint: &str) -> Result<String, String> {
    let uri: Uri = text.parse().map_err(|error| format!("{error}"))?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err("it does not begin with http:// or https://".to_owned());
    }
    let Some(authority) = uri.authority().filter(|found| !found.host().is_empty()) else {
        return Err("it has no host".to_owned());
    };
    if authority.as_str().contains('@') {
        return Err(format!("user name and password do not belong here, {hint}"));
    }
    if authority.as_str() != authority.host() && !matches!(authority.port_u16(), Some(1..)) {
        return Err("its port is not a number from 1 to 65535".to_owned());
    }
    if uri.query().is_some() || text.contains('#') {
        return Err("it has a query or a fragment".to_owned());
    }
    Ok(text.trim_end_matches('/').to_owned())
}

/// Escapes everything that could have a meaning of its own in a URL.
pub(super) fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_whatever_may_be_a_password() {
        let cases = [
            ("postgres://u:secret@db/x", "postgres://u:***@db/x"),
            ("postgres://u:se@cr/et@db/x", "postgres://u:***@db/x"),
            ("https://secret@host", "https://***@host"),
            (
                "postgres://db/x?user=u&password=secret",
                "postgres://db/x?user=u&password=***",
            ),
            ("u:secret@db", "u:***@db"),
            ("sqlite:data/sync.db", "sqlite:data/sync.db"),
        ];
        for (given, expected) in cases {
            assert_eq!(masked(given), expected);
        }
    }

    #[test]
    fn encodes_everything_but_unreserved_characters() {
        assert_eq!(percent_encoded("p@ss:w/rd-ü"), "p%40ss%3Aw%2Frd-%C3%BC");
    }
}
