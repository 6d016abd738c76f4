//! The local API over a real socket.

use std::time::Duration;

use awc::{ClientRequest, http::Method};
use serde_json::Value;

/// What came back.
#[derive(Debug)]
pub struct Answered {
    pub status: u16,
    pub body: Value,
}

impl Answered {
    /// The last part of a problem's `type`, which names its kind.
    pub fn problem(&self) -> &str {
        let kind = self.body["type"].as_str().unwrap_or_default();
        kind.rsplit(['/', ':', '#']).next().unwrap_or_default()
    }
}

/// A client of the local API on this port.
pub struct LocalApi {
    base: String,
    client: awc::Client,
}

impl LocalApi {
    pub fn new(port: u16) -> Self {
        Self {
            base: format!("http://127.0.0.1:{port}"),
            // Longer than any caller of the service is ever to wait: running into it is a hang.
            client: awc::Client::builder()
                .timeout(Duration::from_secs(20))
                .disable_redirects()
                .finish(),
        }
    }

    pub fn request(&self, method: Method, path: &str) -> ClientRequest {
        self.client.request(method, format!("{}{path}", self.base))
    }

    pub async fn get(&self, path: &str) -> Answered {
        answered(self.request(Method::GET, path).send()).await
    }

    pub async fn post(&self, path: &str) -> Answered {
        answered(self.request(Method::POST, path).send()).await
    }

    pub async fn delete(&self, path: &str) -> Answered {
        answered(self.request(Method::DELETE, path).send()).await
    }

    pub async fn send(&self, method: Method, path: &str, body: &Value) -> Answered {
        answered(self.request(method, path).send_json(body)).await
    }
}

/// Waits for the answer and reads it whole; a body that is no JSON becomes a text.
pub async fn answered(sent: awc::SendClientRequest) -> Answered {
    let mut response = sent.await.expect("the local API answers");
    let bytes = response.body().await.expect("the local API's whole answer");
    let body = serde_json::from_slice(&bytes)
        .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&bytes).into_owned()));
    Answered {
        status: response.status().as_u16(),
        body,
    }
}
