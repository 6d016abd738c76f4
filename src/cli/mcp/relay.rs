//! One HTTP exchange for every message, each by itself, so that none waits for another.

use std::{cell::RefCell, collections::HashMap, rc::Rc, time::Duration};

use awc::{
    Client, ClientResponse, Connector,
    error::{ConnectError, SendRequestError},
    http::{
        StatusCode,
        header::{ACCEPT, CONTENT_TYPE, HeaderValue},
    },
};
use futures_util::StreamExt;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};
use tokio::{sync::mpsc::Sender, task::AbortHandle};

use super::{
    super::client::Destination,
    envelope::{Envelope, Head, Unreadable},
    events::Events,
};

/// On the same machine a connection stands at once or never.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A tool may call the Client System, everything else is answered from what the service knows.
const TOOL_PATIENCE: Duration = Duration::from_secs(120);
const PATIENCE: Duration = Duration::from_secs(15);
/// Is answered when everything is uploaded.
const ENDLESS_TOOL: &str = "trigger_sync";
/// No answer is longer.
const MOST_BYTES: usize = 64 << 20;
const FORMS: &str = "application/json, text/event-stream";
const EVENT_STREAM: &str = "text/event-stream";
/// From this version of the protocol on, headers repeat what a request is about.
const FIRST_VERSION_WITH_NAMES: &str = "2026-07-28";
/// JSON-RPC's number for whatever a server cannot do.
const FAILED: i32 = -32_000;

/// Carries messages between the client and the service.
pub(super) struct Relay {
    client: Client,
    address: String,
    token: Option<SecretString>,
    out: Sender<String>,
    /// The version that the client and the service have agreed upon, where they do so once and for all.
    version: RefCell<Option<String>>,
    /// The requests under way.
    open: RefCell<HashMap<String, AbortHandle>>,
}

/// What of an answer is of interest to its carrier.
#[derive(Deserialize)]
struct Heard<'a> {
    #[serde(default)]
    id: Value,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

/// How long an answer may take; none where it may take as long as it likes.
fn patience(head: &Head) -> Option<Duration> {
    match (head.method.as_str(), head.name.as_deref()) {
        ("tools/call", Some(ENDLESS_TOOL)) => None,
        ("tools/call", _) => Some(TOOL_PATIENCE),
        _ => Some(PATIENCE),
    }
}

impl Relay {
    pub(super) fn new(destination: Destination, out: Sender<String>) -> Self {
        let Destination { url, token, tls } = destination;
        let mut connector = Connector::new().timeout(CONNECT_TIMEOUT);
        if let Some(tls) = tls {
            connector = connector.rustls_0_23(tls);
        }
        let client = Client::builder()
            .connector(connector)
            .disable_redirects()
            // A triggered sync is answered when it has ended.
            .disable_timeout()
            .finish();
        Self {
            client,
            address: url.join("/mcp"),
            token,
            out,
            version: RefCell::default(),
            open: RefCell::default(),
        }
    }

    pub(super) fn note(&self, key: String, exchange: AbortHandle) {
        let mut open = self.open.borrow_mut();
        open.retain(|_, handle| !handle.is_finished());
        open.insert(key, exchange);
    }

    /// The client does not wait any more: with the connection the service sees that.
    pub(super) fn give_up(&self, id: &Value) {
        if let Some(exchange) = self.open.borrow_mut().remove(&id.to_string()) {
            exchange.abort();
        }
    }

    pub(super) async fn answer_unreadable(&self, error: &Unreadable) {
        self.answer_failed(&Value::Null, error.code, &error.words)
            .await;
    }

    /// Sends a message, and prints what comes back. A request is answered in any case.
    pub(super) async fn exchange(self: Rc<Self>, envelope: Envelope, line: String) {
        let Some(head) = envelope.head() else {
            return;
        };
        let outcome = self.try_exchange(&envelope, head, line).await;
        let Err(words) = outcome else {
            return;
        };
        eprintln!("meterit-sync mcp: {words}");
        if let Some(id) = envelope.id() {
            self.answer_failed(id, FAILED, &words).await;
        }
    }

    async fn try_exchange(
        &self,
        envelope: &Envelope,
        head: &Head,
        line: String,
    ) -> Result<(), String> {
        let sending = self.request(head).send_body(line);
        let sent = match patience(head) {
            Some(patience) => tokio::time::timeout(patience, sending)
                .await
                .map_err(|_| self.silent(patience, head))?,
            None => sending.await,
        };
        let mut response = sent.map_err(|error| self.no_answer(&error, head))?;
        let mut is_answered = false;
        if is_event_stream(&response) {
            let mut events = Events::default();
            while let Some(piece) = response.next().await {
                let piece = piece.map_err(|error| self.cut_short(&error, head))?;
                for message in events.take(&piece) {
                    is_answered |= self.hand_on(&message, envelope, head).await;
                }
            }
        } else {
            let status = response.status();
            let body = response.body().limit(MOST_BYTES).await;
            let body = body.map_err(|error| self.cut_short(&error, head))?;
            let text = String::from_utf8_lossy(&body);
            is_answered = self.hand_on(&text, envelope, head).await;
            if !is_answered && !status.is_success() {
                return Err(self.refused(status, &text, head));
            }
        }
        if is_answered || envelope.id().is_none() {
            return Ok(());
        }
        Err(self.cut_short(&"the answer is missing", head))
    }

    fn silent(&self, patience: Duration, head: &Head) -> String {
        let (address, method) = (&self.address, &head.method);
        format!(
            "{address} took {method} and has not answered for {patience:?}, so it may have been carried out or not; \
             `meterit-sync status` and the service's log tell how it fares"
        )
    }

    fn request(&self, head: &Head) -> awc::ClientRequest {
        let mut request = self
            .client
            .post(&self.address)
            // The service may have been restarted since, and connections on the same machine cost nothing.
            .force_close()
            .insert_header((CONTENT_TYPE, "application/json"))
            .insert_header((ACCEPT, FORMS));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token.expose_secret());
        }
        let agreed = self.version.borrow();
        let version = head.version.as_ref().or(agreed.as_ref());
        let Some(version) = version.filter(|_| head.method != "initialize") else {
            return request;
        };
        request = with_header(request, "mcp-protocol-version", version);
        if version.as_str() >= FIRST_VERSION_WITH_NAMES {
            request = with_header(request, "mcp-method", &head.method);
            if let Some(name) = &head.name {
                request = with_header(request, "mcp-name", name);
            }
        }
        request
    }

    /// Prints a message of the service; tells whether it answers the request.
    async fn hand_on(&self, message: &str, envelope: &Envelope, head: &Head) -> bool {
        let Ok(heard) = serde_json::from_str::<Heard>(message) else {
            return false;
        };
        let is_end = heard.result.is_some() || heard.error.is_some();
        if is_end && heard.id.is_null() {
            // A refusal before the message was read; the client knows it by the request's own id only.
            if let (Some(id), Some(error)) = (envelope.id(), heard.error) {
                self.print(json!({ "jsonrpc": "2.0", "id": id, "error": error }).to_string())
                    .await;
                return true;
            }
            return false;
        }
        if let Some(result) = heard.result.filter(|_| head.method == "initialize") {
            self.agree(result);
        }
        let is_answer = is_end && Some(&heard.id) == envelope.id();
        if is_end || envelope.id().is_some() {
            self.print(message.replace(['\n', '\r'], " ")).await;
        }
        is_answer
    }

    fn agree(&self, initialized: &RawValue) {
        let initialized: Value = serde_json::from_str(initialized.get()).unwrap_or_default();
        let version = initialized["protocolVersion"].as_str();
        *self.version.borrow_mut() = version.map(str::to_owned);
    }

    async fn answer_failed(&self, id: &Value, code: i32, words: &str) {
        let error = json!({ "code": code, "message": words });
        self.print(json!({ "jsonrpc": "2.0", "id": id, "error": error }).to_string())
            .await;
    }

    async fn print(&self, line: String) {
        // Nobody reads any more: the command ends by itself.
        let _ = self.out.send(line).await;
    }

    fn no_answer(&self, error: &SendRequestError, head: &Head) -> String {
        let Head { method, .. } = head;
        let address = &self.address;
        match error {
            SendRequestError::Url(error) => format!(
                "{address} is no address ({error}), so {method} was not carried out; correct --url"
            ),
            // It stood, and went away before the answer came.
            SendRequestError::Connect(ConnectError::Disconnected) => {
                self.cut_short(&"no answer came", head)
            }
            SendRequestError::Connect(error) => format!(
                "nothing answers at {address} ({error}), so {method} was not carried out; meterit-sync does not run there: start it with `meterit-sync run`, or give its address with --url, and ask again"
            ),
            error => self.cut_short(error, head),
        }
    }

    fn cut_short(&self, error: &dyn std::fmt::Display, head: &Head) -> String {
        format!(
            "the connection to {} ended before the answer was whole ({error}), so it is not known whether {} was carried out; the service may have been stopped or restarted: look at its status, then ask again",
            self.address, head.method
        )
    }

    fn refused(&self, status: StatusCode, text: &str, head: &Head) -> String {
        let problem: Value = serde_json::from_str(text).unwrap_or_default();
        let words = problem["detail"]
            .as_str()
            .unwrap_or("what answers there may not be meterit-sync, or an older version of it");
        format!(
            "{} answers with HTTP {}, so {} was not carried out: {words}",
            self.address,
            status.as_u16(),
            head.method
        )
    }
}

/// A value that no header can carry is left out; then the service says what it misses.
fn with_header(request: awc::ClientRequest, name: &'static str, value: &str) -> awc::ClientRequest {
    match HeaderValue::from_str(value) {
        Ok(value) => request.insert_header((name, value)),
        Err(_) => request,
    }
}

fn is_event_stream<S>(response: &ClientResponse<S>) -> bool {
    let content_type = response.headers().get(CONTENT_TYPE);
    content_type.is_some_and(|found| found.as_bytes().starts_with(EVENT_STREAM.as_bytes()))
}
