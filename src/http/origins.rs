//! Who may ask through a browser: pages of this machine, at whatever port, and no others. A page from elsewhere
//! cannot change anything, whatever method it uses, and a name that an attacker lets point to this machine
//! (DNS rebinding) is none of ours.

use std::net::IpAddr;

use actix_cors::Cors;
use actix_web::{
    Error, ResponseError,
    body::{EitherBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{
        Uri,
        header::{CONTENT_TYPE, HOST, HeaderValue, ORIGIN},
    },
    middleware::Next,
};

use super::problem::Problem;

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

/// What pages of this machine may do.
pub(super) fn cors() -> Cors {
    Cors::default()
        .allowed_origin_fn(|origin, _| is_of_this_machine(origin))
        .allowed_methods(["GET", "POST"])
        .allowed_header(CONTENT_TYPE)
        .allowed_headers(OF_ASSISTANTS)
        .max_age(PREFLIGHT_AGE)
}

/// Refuses what another machine's page asks for, before anything is done.
pub(super) async fn guard(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<EitherBody<impl MessageBody>>, Error> {
    match refusal(&request) {
        Some(problem) => Ok(request
            .into_response(problem.error_response())
            .map_into_right_body()),
        None => Ok(next.call(request).await?.map_into_left_body()),
    }
}

fn refusal(request: &ServiceRequest) -> Option<Problem> {
    let headers = request.headers();
    let foreign_host = headers
        .get_all(HOST)
        .find(|host| !names_this_machine(host))
        .map(Problem::foreign_host);
    foreign_host.or_else(|| {
        headers
            .get_all(ORIGIN)
            .find(|origin| !is_of_this_machine(origin))
            .map(Problem::foreign_origin)
    })
}

fn is_of_this_machine(origin: &HeaderValue) -> bool {
    parsed(origin).is_some_and(|uri| uri.scheme().is_some() && is_loopback(&uri))
}

fn names_this_machine(host: &HeaderValue) -> bool {
    parsed(host).is_some_and(|uri| is_loopback(&uri))
}

fn parsed(value: &HeaderValue) -> Option<Uri> {
    value.to_str().ok()?.parse().ok()
}

fn is_loopback(uri: &Uri) -> bool {
    let host = uri.host().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || address
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_this_machine_are_told_from_others() {
        for own in [
            "http://localhost:3000",
            "http://LOCALHOST",
            "https://127.0.0.1:8443",
            "http://[::1]:3000",
        ] {
            assert!(is_of_this_machine(&HeaderValue::from_static(own)), "{own}");
        }
        for foreign in [
            "null",
            "",
            "localhost",
            "http://evil.example",
            "http://localhost.evil.example",
            "http://evil.example/localhost",
            "http://192.168.1.2:3000",
            "file://",
        ] {
            assert!(
                !is_of_this_machine(&HeaderValue::from_static(foreign)),
                "{foreign}"
            );
        }
    }

    #[test]
    fn names_of_this_machine_are_told_from_others() {
        for own in [
            "localhost:3002",
            "127.0.0.1:3002",
            "[::1]:3002",
            "localhost",
        ] {
            assert!(names_this_machine(&HeaderValue::from_static(own)), "{own}");
        }
        for foreign in [
            "evil.example:3002",
            "192.168.1.2",
            "",
            "127.0.0.1.evil.example",
        ] {
            assert!(
                !names_this_machine(&HeaderValue::from_static(foreign)),
                "{foreign}"
            );
        }
    }
}
