//! Tests of the routes against scripted actors: which answer means which status, type and header.

mod access;
mod actions;
mod description;
mod ingestion;
mod local;
mod observation;
mod refusals;
mod words;

use actix_web::{
    App,
    body::MessageBody,
    http::{Method, StatusCode, header::HeaderMap},
    test::{TestRequest, call_service, init_service},
};
use serde_json::Value;

use super::{Access, Rules, Tokens};
use crate::{clock::Clock, control::Control, telemetry::metrics::Metrics};

/// An answer as a client sees it.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).expect(&self.text)
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// Expects a problem of a type and returns it.
    #[track_caller]
    fn problem(&self, status: u16, name: &str) -> Value {
        let content = self.json();
        assert_eq!(
            content["type"],
            format!("urn:meterit-sync:problem:{name}"),
            "{}",
            self.text
        );
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        assert_eq!(content["status"], status);
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json")
        );
        assert!(!content["title"].as_str().unwrap().is_empty());
        assert!(!content["detail"].as_str().unwrap().is_empty());
        content
    }
}

/// Nobody needs a token.
fn open() -> Access {
    Access::new(Rules::default(), Tokens::default(), Clock::system())
}

async fn send(control: Control, request: TestRequest) -> Answer {
    send_to(&open(), control, request).await
}

async fn send_to(access: &Access, control: Control, request: TestRequest) -> Answer {
    let app = init_service(App::new().configure(super::configure(
        control,
        Metrics::new().expect("declared"),
        access.clone(),
        |_| (),
    )))
    .await;
    let response = call_service(&app, request.to_request()).await;
    let status = response.status();
    let headers = response.headers().clone();
    let bytes = actix_web::body::to_bytes(response.into_body().boxed())
        .await
        .unwrap();
    Answer {
        status,
        headers,
        text: String::from_utf8(bytes.to_vec()).unwrap(),
    }
}

async fn ask(control: Control, method: Method, uri: &str) -> Answer {
    send(control, TestRequest::default().method(method).uri(uri)).await
}

async fn get(control: Control, uri: &str) -> Answer {
    ask(control, Method::GET, uri).await
}

async fn post(control: Control, uri: &str) -> Answer {
    ask(control, Method::POST, uri).await
}
