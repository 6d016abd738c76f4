//! Names of this machine, and pages that may ask it: what stands in the headers `Host` and `Origin`.

use std::net::IpAddr;

use awc::http::Uri;

pub(super) const NAMES_ALLOWED: &str = "names or IP addresses without scheme and port, separated by commas, such as edge-7,edge-7.example.com";
pub(super) const ORIGINS_ALLOWED: &str = "same-host, origins such as https://dashboard.example.com:8443 besides it, separated by commas, or none in the place of same-host";

const SAME_HOST: &str = "same-host";
const NOBODY: &str = "none";

/// Whose pages may ask the local API, besides its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllowedOrigins {
    /// Pages of this machine, at whatever port.
    pub same_host: bool,
    /// Others, as a browser writes them: lower case, no port where it is the scheme's own.
    pub others: Vec<String>,
}

impl AllowedOrigins {
    /// Whoever adds an origin does not mean to lock out the page that sites have, hence a word for that.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let parts: Vec<&str> = text.split(',').map(str::trim).collect();
        let has = |word: &str| parts.iter().any(|part| part.eq_ignore_ascii_case(word));
        if has(SAME_HOST) && has(NOBODY) {
            return Err(format!("{SAME_HOST} and {NOBODY} contradict each other"));
        }
        let is_word =
            |part: &&str| part.eq_ignore_ascii_case(SAME_HOST) || part.eq_ignore_ascii_case(NOBODY);
        let others = parts.iter().filter(|part| !is_word(part));
        Ok(Self {
            same_host: !has(NOBODY),
            others: others.map(|part| origin(part)).collect::<Result<_, _>>()?,
        })
    }
}

impl std::fmt::Display for AllowedOrigins {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(if self.same_host { SAME_HOST } else { NOBODY })?;
        self.others
            .iter()
            .try_for_each(|origin| write!(formatter, ",{origin}"))
    }
}

fn origin(text: &str) -> Result<String, String> {
    if text == "*" {
        return Err("`*` would let every page of the world in".to_owned());
    }
    let wrong = |why: &str| format!("`{text}` is no origin: {why}");
    let uri: Uri = text.parse().map_err(|error| wrong(&format!("{error}")))?;
    let scheme = uri.scheme_str().unwrap_or_default();
    let own_port = match scheme {
        "http" => 80,
        "https" => 443,
        _ => return Err(wrong("it does not begin with http:// or https://")),
    };
    let authority = uri
        .authority()
        .filter(|found| !found.host().is_empty() && !found.as_str().contains('@'))
        .ok_or_else(|| wrong("it has no host, or a user name"))?;
    let is_more = !matches!(uri.path(), "" | "/") || uri.query().is_some() || text.contains('#');
    if is_more || text.ends_with('/') {
        return Err(wrong("it ends after host and port, without a slash"));
    }
    let host = authority.host().to_ascii_lowercase();
    if authority.as_str().len() == host.len() {
        return Ok(format!("{scheme}://{host}"));
    }
    match authority.port_u16() {
        Some(port) if port == own_port => Ok(format!("{scheme}://{host}")),
        Some(port) if port > 0 => Ok(format!("{scheme}://{host}:{port}")),
        _ => Err(wrong("its port is not a number from 1 to 65535")),
    }
}

/// In lower case; IPv6 addresses without brackets.
pub(super) fn names(text: &str) -> Result<Vec<String>, String> {
    text.split(',').map(|part| name(part.trim())).collect()
}

fn name(text: &str) -> Result<String, String> {
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    let is_name = !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
    if is_name || bare.parse::<IpAddr>().is_ok() {
        return Ok(bare.to_ascii_lowercase());
    }
    Err(match text {
        "*" => "`*` would let any name in, which is what this protects against".to_owned(),
        _ => format!("`{text}` is no name"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_read_as_browsers_write_them() {
        let parse = |text: &str| AllowedOrigins::parse(text).map(|found| found.to_string());
        for (given, found) in [
            ("same-host", "same-host"),
            ("none", "none"),
            (
                "Same-Host, HTTPS://Dash.Example:443",
                "same-host,https://dash.example",
            ),
            (
                "http://10.0.0.7:3000,http://[::1]",
                "same-host,http://10.0.0.7:3000,http://[::1]",
            ),
            ("none,https://dash.example", "none,https://dash.example"),
        ] {
            assert_eq!(parse(given).as_deref(), Ok(found), "{given}");
        }
        for given in [
            "*",
            "dash.example",
            "https://dash.example/",
            "https://dash.example/path",
            "ftp://dash.example",
            "https://me@dash.example",
            "https://dash.example:0",
            "https://dash.example:port",
            "https://",
            "same-host,",
            "none,same-host",
        ] {
            assert!(parse(given).is_err(), "{given}");
        }
    }

    #[test]
    fn names_are_those_of_machines() {
        assert_eq!(
            names("Edge-7, edge-7.example.com,[FD00::7],10.0.0.7"),
            Ok(["edge-7", "edge-7.example.com", "fd00::7", "10.0.0.7"]
                .map(str::to_owned)
                .to_vec())
        );
        for given in ["*", "", "edge:3002", "http://edge", "edge,,other", "ed ge"] {
            assert!(names(given).is_err(), "{given}");
        }
    }
}
