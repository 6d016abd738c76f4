//! Streamable HTTP at `/mcp`: hands the requests of actix-web to the SDK, and its answers back.
//!
//! Every request stands for itself, in both eras of the protocol: no session is kept, so nothing is lost with a
//! restart of the service, nothing has to be bounded, and without clients nothing runs.

use std::{convert::Infallible, sync::Arc};

use ::http::{Request, Response, header::CONTENT_TYPE};
use actix_web::{
    HttpMessage, HttpRequest, HttpResponse,
    http::StatusCode,
    web::{self, Bytes, Data, PayloadConfig, ServiceConfig},
};
use http_body_util::{BodyDataStream, BodyExt, Full, combinators::BoxBody};
use rmcp::transport::streamable_http_server::{
    StreamableHttpServerConfig, StreamableHttpService, session::never::NeverSessionManager,
};
use serde::de::IgnoredAny;
use serde_json::json;

use super::server::Server;
use crate::{control::Control, domain::access::Grant};

/// No request of an assistant is anywhere near as long.
const MOST_BYTES: usize = 256 * 1024;
const JSON: &str = "application/json";
const EVENT_STREAM: &str = "text/event-stream";
const PROBLEM: &str = "application/problem+json";
type Service = StreamableHttpService<Server, NeverSessionManager>;
type Answer = Response<BoxBody<Bytes, Infallible>>;

/// What serves assistants. Cheap to clone.
#[derive(Clone)]
pub struct Endpoint(Service);

impl Endpoint {
    /// Over the operator's hand on the service.
    pub fn new(control: Control) -> Self {
        let server = Server::new(control);
        let config = StreamableHttpServerConfig::default()
            .with_legacy_session_mode(false)
            // One document where there is one message; a stream where progress is told before the answer.
            .with_json_response(true)
            .with_max_request_body_bytes(MOST_BYTES)
            // Names and origins are judged for all routes alike, before a request comes here.
            .disable_allowed_hosts();
        Self(StreamableHttpService::new(
            move || Ok(server.clone()),
            Arc::new(NeverSessionManager::default()),
            config,
        ))
    }

    /// The route `/mcp`, for all methods.
    pub fn routes(&self) -> impl FnOnce(&mut ServiceConfig) + use<> {
        let service = Data::new(self.0.clone());
        move |app| {
            app.service(
                web::resource("/mcp")
                    .app_data(service)
                    .app_data(PayloadConfig::new(MOST_BYTES))
                    .route(web::route().to(answer)),
            );
        }
    }
}

async fn answer(
    service: Data<Service>,
    request: HttpRequest,
    body: Result<Bytes, actix_web::Error>,
) -> HttpResponse {
    let body = match body {
        Ok(body) => body,
        Err(error) => return unread(&error),
    };
    let Some(translated) = translated(&request, body.clone()) else {
        let words = "the request's head cannot be understood, so nothing was done";
        return HttpResponse::BadRequest()
            .content_type(PROBLEM)
            .json(problem(StatusCode::BAD_REQUEST, words));
    };
    let answer = service.handle(translated).await;
    // The SDK takes a body that is no message for a media type that it does not know.
    if answer.status() == ::http::StatusCode::UNSUPPORTED_MEDIA_TYPE && has_json(&request) {
        return no_message(&body);
    }
    handed_back(answer).await
}

/// The request in the types that the SDK speaks, which are of another version.
fn translated(request: &HttpRequest, body: Bytes) -> Option<Request<Full<Bytes>>> {
    let mut builder = Request::builder()
        .method(request.method().as_str())
        .uri(request.uri().to_string());
    // What whoever asks may do was found out before.
    if let Some(grant) = request.extensions().get::<Grant>() {
        builder = builder.extension(*grant);
    }
    for (name, value) in request.headers() {
        builder = builder.header(name.as_str(), value.as_bytes());
    }
    builder.body(Full::new(body)).ok()
}

async fn handed_back(answer: Answer) -> HttpResponse {
    let (head, body) = answer.into_parts();
    let status =
        StatusCode::from_u16(head.status.as_u16()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = HttpResponse::build(status);
    for (name, value) in &head.headers {
        response.append_header((name.as_str(), value.as_bytes()));
    }
    let is = |media_type: &str| {
        let found = head.headers.get(CONTENT_TYPE);
        found.is_some_and(|found| found.as_bytes().starts_with(media_type.as_bytes()))
    };
    if is(EVENT_STREAM) {
        return response.streaming(BodyDataStream::new(body));
    }
    let Ok(document) = body.collect().await;
    let bytes = document.to_bytes();
    if status.is_success() || is(JSON) {
        return response.body(bytes);
    }
    response.content_type(PROBLEM);
    response.json(problem(status, &String::from_utf8_lossy(&bytes)))
}

fn unread(error: &actix_web::Error) -> HttpResponse {
    let status = error.as_response_error().status_code();
    let words = if status == StatusCode::PAYLOAD_TOO_LARGE {
        format!(
            "the body holds more than the {MOST_BYTES} bytes that are taken at once, so nothing was done"
        )
    } else {
        format!("the body could not be read, so nothing was done: {error}")
    };
    HttpResponse::build(status)
        .content_type(PROBLEM)
        .json(problem(status, &words))
}

/// A failure of the transport itself, in the form that all of the local API's problems have.
fn problem(status: StatusCode, words: &str) -> serde_json::Value {
    let (name, title) = match status {
        StatusCode::METHOD_NOT_ALLOWED => ("method-not-allowed", "The method is not allowed here"),
        StatusCode::NOT_ACCEPTABLE => ("not-acceptable", "No form of the answer is accepted"),
        StatusCode::UNSUPPORTED_MEDIA_TYPE => (
            "unsupported-media-type",
            "The body's form is not understood",
        ),
        StatusCode::PAYLOAD_TOO_LARGE => ("too-large", "The request is too large"),
        other if other.is_server_error() => ("internal-error", "The service made a mistake"),
        _ => ("invalid-request", "The request makes no sense"),
    };
    json!({
        "type": format!("urn:meterit-sync:problem:{name}"),
        "title": title,
        "status": status.as_u16(),
        "detail": words,
    })
}

fn has_json(request: &HttpRequest) -> bool {
    request.content_type().eq_ignore_ascii_case(JSON)
}

/// As JSON-RPC answers what it cannot read.
fn no_message(body: &[u8]) -> HttpResponse {
    let (code, words) = match serde_json::from_slice::<IgnoredAny>(body) {
        Err(error) => (-32_700, format!("the body is no JSON: {error}")),
        Ok(_) => (
            -32_600,
            "the body is no single message of the protocol".to_owned(),
        ),
    };
    HttpResponse::BadRequest().json(json!({
        "jsonrpc": "2.0",
        "id": null,
        "error": { "code": code, "message": words },
    }))
}
