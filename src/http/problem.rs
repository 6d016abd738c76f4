//! Problems on the wire: RFC 9457, with types that stay the same over versions.

use std::{fmt, time::Duration};

use actix_web::{
    HttpResponse, ResponseError,
    http::{
        StatusCode,
        header::{self, HeaderValue},
    },
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    control::{ControlError, ProblemKind, ReadingProblem},
    domain::pass::PassReport,
};

/// The media type of problems.
pub(super) const MEDIA_TYPE: &str = "application/problem+json";

/// An answer that is no success.
#[derive(Debug)]
pub(super) struct Problem(Box<ProblemDocument>);

/// Why something was not done, as in RFC 9457.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub(super) struct ProblemDocument {
    /// The kind of problem; stays the same over versions.
    #[serde(rename = "type")]
    #[schema(examples("urn:meterit-sync:problem:pass-already-running"))]
    kind: String,
    /// The kind in a few words.
    title: &'static str,
    /// The HTTP status once more.
    #[serde(serialize_with = "as_number")]
    #[schema(value_type = u16)]
    status: StatusCode,
    /// What happened, what it means and what to do.
    detail: String,
    /// What is wrong with which reading.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<ReadingProblem>,
    /// How many bad readings the list does not name.
    #[serde(skip_serializing_if = "Option::is_none")]
    more_errors: Option<usize>,
    /// The pass that ended before the queue was empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    report: Option<Box<PassReport>>,
    #[serde(skip)]
    retry_after: Option<Duration>,
    #[serde(skip)]
    allow: Option<HeaderValue>,
    #[serde(skip)]
    challenge: Option<&'static str>,
    #[serde(skip)]
    ends_connection: bool,
}

fn as_number<S: serde::Serializer>(status: &StatusCode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u16(status.as_u16())
}

impl Problem {
    fn new(status: StatusCode, name: &str, title: &'static str, detail: String) -> Self {
        Self(Box::new(ProblemDocument {
            kind: format!("urn:meterit-sync:problem:{name}"),
            title,
            status,
            detail,
            errors: Vec::new(),
            more_errors: None,
            report: None,
            retry_after: None,
            allow: None,
            challenge: None,
            ends_connection: false,
        }))
    }

    fn of_kind(kind: ProblemKind, detail: String) -> Self {
        Self::new(status_of(kind), kind.name(), kind.title(), detail)
    }

    pub(super) fn token_needed() -> Self {
        let mut problem = Self::of_kind(
            ProblemKind::TokenNeeded,
            "no token came with this call, so nothing was done; send CONTROL_TOKEN, or READ_TOKEN for looking only, as `Authorization: Bearer …`; a person logs in at /login".to_owned(),
        );
        problem.0.challenge = Some(r#"Bearer realm="meterit-sync""#);
        problem
    }

    pub(super) fn wrong_token() -> Self {
        let mut problem = Self::of_kind(
            ProblemKind::WrongToken,
            "the token that came is none of this service's, so nothing was done; look up CONTROL_TOKEN or READ_TOKEN, or the files that they are in, where the service runs".to_owned(),
        );
        problem.0.challenge = Some(r#"Bearer realm="meterit-sync", error="invalid_token""#);
        problem
    }

    pub(super) fn too_many_wrong_tokens(wait: Duration) -> Self {
        let mut problem = Self::of_kind(
            ProblemKind::TooManyWrongTokens,
            "too many wrong tokens have come from this address, this one among them, so nothing was done; end whatever sends them, or give it the token that the service has now, which is taken at once; wrong ones after `Retry-After`".to_owned(),
        );
        problem.0.retry_after = Some(wait);
        problem.0.ends_connection = true;
        problem
    }

    pub(super) fn looks_only() -> Self {
        let mut problem = Self::from(ControlError::LooksOnly);
        problem.0.challenge = Some(r#"Bearer realm="meterit-sync", error="insufficient_scope""#);
        problem
    }

    pub(super) fn invalid(detail: impl Into<String>) -> Self {
        Self::of_kind(ProblemKind::InvalidRequest, detail.into())
    }

    pub(super) fn not_found(detail: String) -> Self {
        Self::of_kind(ProblemKind::NotFound, detail)
    }

    pub(super) fn too_large(most_bytes: usize) -> Self {
        Self::of_kind(
            ProblemKind::TooLarge,
            format!(
                "the body holds more than the {most_bytes} bytes that are taken at once, so nothing was done; send less at once"
            ),
        )
    }

    pub(super) fn address_too_long(most_bytes: usize) -> Self {
        Self::new(
            StatusCode::URI_TOO_LONG,
            "address-too-long",
            "The address is too long",
            format!(
                "the address holds more than {most_bytes} bytes, so nothing was done; ask with a shorter query"
            ),
        )
    }

    pub(super) fn busy_taking_in() -> Self {
        let mut problem = Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "service-unavailable",
            "Too much comes in at once",
            "all requests that are coming in hold more than there is room for, so nothing was done; send this one again in a moment"
                .to_owned(),
        );
        problem.0.retry_after = Some(Duration::from_secs(1));
        problem
    }

    pub(super) fn busy_answering() -> Self {
        let mut problem = Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "service-unavailable",
            "Too many answers are not read",
            "others do not read what they have asked for, so that there is no room for this answer; ask again in a moment, or for less at once"
                .to_owned(),
        );
        problem.0.retry_after = Some(Duration::from_secs(1));
        problem
    }

    pub(super) fn busy_with_connections() -> Self {
        let mut problem = Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "service-unavailable",
            "Too many ask at once",
            "all connections that there may be at once wait for answers, so nothing was done; ask again in a moment"
                .to_owned(),
        );
        problem.0.retry_after = Some(Duration::from_secs(1));
        problem.0.ends_connection = true;
        problem
    }

    pub(super) fn too_slow() -> Self {
        Self::new(
            StatusCode::REQUEST_TIMEOUT,
            "request-timeout",
            "The request took too long to come in",
            "the body did not come in within a minute, so nothing was done; send less at once, or over a better link"
                .to_owned(),
        )
    }

    pub(super) fn wrong_method(method: &str, allowed: &str) -> Self {
        let mut problem = Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method-not-allowed",
            "The method is not allowed here",
            format!("{method} is not possible here; use {allowed}"),
        );
        problem.0.allow = HeaderValue::from_str(allowed).ok();
        problem
    }

    pub(super) fn foreign_origin(origin: &str) -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "foreign-origin",
            "Pages from elsewhere may not ask",
            format!(
                "a page from {origin:?} asked, so nothing was done; pages of this machine may ask, at whatever port, and those that CORS_ALLOWED_ORIGINS names"
            ),
        )
    }

    pub(super) fn foreign_host(host: &str) -> Self {
        Self::new(
            StatusCode::MISDIRECTED_REQUEST,
            "foreign-host",
            "The request was meant for another machine",
            format!(
                "the request names {host:?} as its host, so nothing was done; use localhost, 127.0.0.1 or [::1], or let LOCAL_API_NAMES hold the name"
            ),
        )
    }

    pub(super) fn unsupported_media_type(detail: &str) -> Self {
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported-media-type",
            "The body's form is not understood",
            detail.to_owned(),
        )
    }

    pub(super) fn unhealthy(name: &str, title: &'static str, troubles: &[String]) -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            name,
            title,
            format!("{}; `/status` says more", troubles.join("; ")),
        )
    }

    pub(super) fn internal(detail: &dyn fmt::Display) -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal-error",
            "The service made a mistake",
            format!("{detail}; readings are not affected"),
        )
    }
}

impl From<ControlError> for Problem {
    fn from(error: ControlError) -> Self {
        let mut problem = Self::of_kind(error.kind(), error.to_string());
        problem.0.retry_after = error.retry_after();
        match error {
            ControlError::PassFailed { report, .. } => problem.0.report = Some(report),
            ControlError::InvalidReadings { problems, more } => {
                problem.0.errors = problems;
                problem.0.more_errors = (more > 0).then_some(more);
            }
            _ => {}
        }
        problem
    }
}

pub(super) fn status_of(kind: ProblemKind) -> StatusCode {
    match kind {
        ProblemKind::InvalidRequest | ProblemKind::InvalidReadings => StatusCode::BAD_REQUEST,
        ProblemKind::NotFound => StatusCode::NOT_FOUND,
        ProblemKind::PassAlreadyRunning
        | ProblemKind::SynchronisationStopped
        | ProblemKind::IdempotencyKeyReused
        | ProblemKind::PossiblyStored
        | ProblemKind::Unreadable => StatusCode::CONFLICT,
        ProblemKind::TokenNeeded | ProblemKind::WrongToken => StatusCode::UNAUTHORIZED,
        ProblemKind::ControlTokenNeeded => StatusCode::FORBIDDEN,
        ProblemKind::TooManyWrongTokens => StatusCode::TOO_MANY_REQUESTS,
        ProblemKind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ProblemKind::ClientSystemUnauthorized
        | ProblemKind::ClientSystemMisconfigured
        | ProblemKind::ClientSystemRefused
        | ProblemKind::ClientSystemUnintelligible
        | ProblemKind::UploadGivenUp => StatusCode::BAD_GATEWAY,
        ProblemKind::ClientSystemSilent => StatusCode::GATEWAY_TIMEOUT,
        ProblemKind::ClientSystemOffline
        | ProblemKind::ClientSystemHeld
        | ProblemKind::PassInterrupted
        | ProblemKind::PartRestarting
        | ProblemKind::PartSilent
        | ProblemKind::TooManyWatchers
        | ProblemKind::TooManyQuestions
        | ProblemKind::DatabaseBusy
        | ProblemKind::DatabaseUnavailable => StatusCode::SERVICE_UNAVAILABLE,
        ProblemKind::DiskFull => StatusCode::INSUFFICIENT_STORAGE,
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0.detail)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.0.status
    }

    fn error_response(&self) -> HttpResponse {
        let content = &self.0;
        let mut response = HttpResponse::build(content.status);
        response.insert_header((header::CONTENT_TYPE, MEDIA_TYPE));
        if let Some(wait) = content.retry_after {
            response.insert_header((header::RETRY_AFTER, whole_seconds(wait)));
        }
        if let Some(allow) = &content.allow {
            response.insert_header((header::ALLOW, allow.clone()));
        }
        if let Some(challenge) = content.challenge {
            response.insert_header((header::WWW_AUTHENTICATE, challenge));
        }
        if content.ends_connection {
            response.force_close();
        }
        response.json(content)
    }
}

/// Rounded up, for coming back a moment too early costs a request more.
fn whole_seconds(wait: Duration) -> u64 {
    let whole = wait.as_secs();
    let started = u64::from(wait.subsec_nanos() > 0);
    whole.saturating_add(started).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_rounded_up() {
        assert_eq!(whole_seconds(Duration::ZERO), 1);
        assert_eq!(whole_seconds(Duration::from_millis(1_001)), 2);
        assert_eq!(whole_seconds(Duration::from_secs(900)), 900);
    }
}
