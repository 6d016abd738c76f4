//! One exchange with the Client System over HTTP: sends, reads the whole answer within bounds, and says how
//! far things got when there is none.

use std::{cell::RefCell, time::Duration};

use actix_web::error::ParseError;
use actix_web::web::Bytes;
use awc::{
    Client, ClientRequest,
    error::{ConnectError, PayloadError, SendRequestError},
    http::{Method, header::HeaderMap},
};
use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret, SecretString};

use super::{
    certificate::{ASK_FOR_ITS_LOG, tls_words},
    redaction::without_key,
    route::Route,
    tunnel::TunnelFault,
};
use crate::{
    clock::Clock,
    domain::request_budget::RequestAllowance,
    settings::ClientSystemSettings,
    supervision::published::Published,
    upstream::answer::{Answer, parse_date, parse_rate_limit_reset, parse_retry_after},
};

/// No answer to a call is read beyond this, decoded; a configuration of thousands of meters stays far below.
const ANSWER_LIMIT: usize = 16 << 20;

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum NoAnswer {
    /// No connection came about: nothing was sent.
    Unreachable(String),
    /// Something may have been sent.
    Broken(String),
    /// Time ran out after the connection stood.
    TimedOut(String),
}

/// A request to the Client System.
pub(super) struct Call {
    pub(super) method: Method,
    pub(super) path: &'static str,
    pub(super) body: Bytes,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) timeout: Duration,
    pub(super) authenticated: bool,
}

impl Call {
    /// A call without a body.
    pub(super) fn get(path: &'static str, timeout: Duration) -> Self {
        Self {
            method: Method::GET,
            path,
            body: Bytes::new(),
            headers: Vec::new(),
            timeout,
            authenticated: true,
        }
    }

    /// A call with a JSON body.
    pub(super) fn post(path: &'static str, body: Bytes, timeout: Duration) -> Self {
        let headers = vec![("content-type", "application/json".to_owned())];
        Self {
            method: Method::POST,
            path,
            body,
            headers,
            timeout,
            authenticated: true,
        }
    }
}

/// The HTTP client. Lives on the thread that made it.
pub(super) struct Wire {
    /// Exchanged where its connections cannot be trusted any more.
    client: RefCell<Client>,
    route: Route,
    base: String,
    api_key: Published<SecretString>,
    clock: Clock,
}

impl Wire {
    pub(super) fn new(settings: &ClientSystemSettings, clock: Clock) -> Self {
        Self::over(Route::new(settings), settings, clock)
    }

    pub(super) fn over(route: Route, settings: &ClientSystemSettings, clock: Clock) -> Self {
        Self {
            client: RefCell::new(route.client()),
            route,
            base: settings.api_url.clone(),
            api_key: Published::new(settings.api_key.clone()),
            clock,
        }
    }

    /// The same with a key that may change.
    pub(super) fn with_key(self, api_key: Published<SecretString>) -> Self {
        Self { api_key, ..self }
    }

    /// Sends the call and reads the answer, all within the call's timeout.
    pub(super) async fn exchange(
        &self,
        call: Call,
    ) -> Result<(Answer, RequestAllowance), NoAnswer> {
        let (timeout, path) = (call.timeout, call.path);
        match tokio::time::timeout(timeout, self.send(call)).await {
            Ok(result) => result,
            Err(_) => Err(NoAnswer::TimedOut(format!(
                "no complete answer from {}{path} within {} ms",
                self.base,
                timeout.as_millis()
            ))),
        }
    }

    async fn send(&self, call: Call) -> Result<(Answer, RequestAllowance), NoAnswer> {
        let url = format!("{}{}", self.base, call.path);
        let mut response = self
            .request(&call, &url)
            .send_body(call.body)
            .await
            .map_err(|error| no_answer(&error, &url))?;
        let status = response.status().as_u16();
        if response.status().is_informational() {
            // The client takes it for the answer. The real one is still to come, on a connection that would hand it to
            // whoever asks next.
            self.client.replace(self.route.client());
            return Err(NoAnswer::Broken(format!(
                "{url} sent an interim answer ({status}) that nobody had asked for"
            )));
        }
        let retry_after = header(response.headers(), "retry-after")
            .and_then(|value| parse_retry_after(value, self.clock.now()));
        let date = header(response.headers(), "date").and_then(parse_date);
        let allowance = self.allowance(response.headers(), date);
        let offers_zstd = offers_zstd(response.headers());
        let location = header(response.headers(), "location").map(|location| self.shown(location));
        let answer = |body: Vec<u8>| Answer {
            status,
            location: location.clone(),
            retry_after,
            date,
            offers_zstd,
            body: self
                .api_key
                .read(|key| without_key(body, key.expose_secret())),
        };
        match response.body().limit(ANSWER_LIMIT).await {
            Ok(body) => Ok((answer(body.to_vec()), allowance)),
            // The status alone decides for everything but a success, whose body is what counts.
            Err(_) if !(200..300).contains(&status) => Ok((answer(Vec::new()), allowance)),
            Err(error) => Err(NoAnswer::Broken(body_words(&error, status))),
        }
    }

    /// An address without what stands behind a question mark, which may let people in.
    fn shown(&self, address: &str) -> String {
        const LONGEST: usize = 200;
        let shown = address.split(['?', '#']).next().unwrap_or_default();
        let shown = shown.chars().take(LONGEST).collect::<String>().into_bytes();
        let shown = self
            .api_key
            .read(|key| without_key(shown, key.expose_secret()));
        String::from_utf8_lossy(&shown).into_owned()
    }

    fn allowance(&self, headers: &HeaderMap, date: Option<DateTime<Utc>>) -> RequestAllowance {
        let now = self.clock.now();
        RequestAllowance {
            limit: number(headers, "x-ratelimit-limit"),
            remaining: number(headers, "x-ratelimit-remaining"),
            resets_in: header(headers, "x-ratelimit-reset")
                .and_then(|reset| parse_rate_limit_reset(reset, date, now)),
        }
    }

    fn request(&self, call: &Call, url: &str) -> ClientRequest {
        let mut request = self.client.borrow().request(call.method.clone(), url);
        if call.authenticated {
            let api_key = self.api_key.get();
            request = request.insert_header(("x-api-key", api_key.expose_secret()));
        }
        for (name, value) in &call.headers {
            request = request.insert_header((*name, value.as_str()));
        }
        request
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// In an answer `Accept-Encoding` is about requests (RFC 9110, section 12.5.3).
fn offers_zstd(headers: &HeaderMap) -> bool {
    headers.get_all("accept-encoding").any(|value| {
        let codings = value.to_str().unwrap_or_default().split(',');
        codings.map(str::trim).any(|coding| {
            let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
            let is_excluded = weight
                .trim()
                .strip_prefix("q=")
                .and_then(|weight| weight.parse::<f64>().ok())
                == Some(0.0);
            name.trim().eq_ignore_ascii_case("zstd") && !is_excluded
        })
    })
}

fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    header(headers, name)?.trim().parse().ok()
}

fn body_words(error: &PayloadError, status: u16) -> String {
    match error {
        PayloadError::Overflow => {
            format!("the answer ({status}) is larger than {ANSWER_LIMIT} bytes")
        }
        other => format!("the answer ({status}) broke off: {other}"),
    }
}

/// Nothing was sent only where no connection came about. `Connect(Disconnected)` is none of these cases: the
/// server took the request and closed without a word.
fn no_answer(error: &SendRequestError, url: &str) -> NoAnswer {
    match error {
        SendRequestError::Connect(ConnectError::Disconnected) => {
            NoAnswer::Broken(format!("{url} closed the connection without an answer"))
        }
        SendRequestError::Connect(cause) => NoAnswer::Unreachable(match tunnel_fault(cause) {
            Some(fault) => fault.to_string(),
            None => format!("{}: {}", connect_words(cause), url),
        }),
        SendRequestError::Url(cause) => {
            NoAnswer::Unreachable(format!("{url} is no address that can be called: {cause}"))
        }
        SendRequestError::Timeout => NoAnswer::TimedOut(format!("no answer from {url} in time")),
        // A server may judge who calls only after it has taken the call.
        SendRequestError::Send(cause) | SendRequestError::Response(ParseError::Io(cause)) => {
            let words = tls_words(cause);
            NoAnswer::Broken(format!("the exchange with {url} broke off: {words}"))
        }
        other => NoAnswer::Broken(format!("the exchange with {url} broke off: {other}")),
    }
}

fn tunnel_fault(cause: &ConnectError) -> Option<&TunnelFault> {
    match cause {
        ConnectError::Io(error) => error.get_ref()?.downcast_ref(),
        _ => None,
    }
}

fn connect_words(cause: &ConnectError) -> String {
    match cause {
        ConnectError::Timeout => "no connection came about in time".to_owned(),
        ConnectError::Resolver(error) => format!("the name cannot be resolved ({error})"),
        ConnectError::NoRecords => "the name has no address".to_owned(),
        ConnectError::Io(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
            "connection refused".to_owned()
        }
        ConnectError::Io(error) if error.kind() == std::io::ErrorKind::InvalidData => {
            format!("TLS failed, {}", tls_words(error))
        }
        ConnectError::Io(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            format!(
                "TLS failed, the other side closed the connection while it was set up, so that nothing is sent: {ASK_FOR_ITS_LOG}"
            )
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_hangs_up_while_the_encryption_is_set_up_is_told_in_a_sentence() {
        let cause = ConnectError::Io(std::io::ErrorKind::UnexpectedEof.into());
        let words = connect_words(&cause);
        assert!(words.contains("host and port in CLIENT_API_URL"), "{words}");
    }
}
