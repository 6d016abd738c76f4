//! The running service as its client sees it: requests over HTTP, answers read within bounds of time and size.

use std::{io, time::Duration};

use actix_web::{error::ParseError, web::Bytes};
use awc::{
    Client, ClientRequest, ClientResponse, Connector,
    error::{ConnectError, PayloadError, SendRequestError},
    http::{
        Method,
        header::{ACCEPT_ENCODING, CONTENT_TYPE},
    },
};
use futures_util::Stream;
use secrecy::{ExposeSecret, SecretString};
use serde::{Serialize, de::DeserializeOwned};

use super::{
    address::{Destination, ServiceUrl},
    failure::Failure,
    output::{Audience, print},
    problem::Problem,
    text::shortened,
};
use crate::domain::status::ServiceStatus;

/// No connection takes longer to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The service answers from memory, or gives up itself, well within this time.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// The service gives its database 30 s.
const DATABASE_TIMEOUT: Duration = Duration::from_secs(40);
/// The service gives a call to the Client System twice API_TIMEOUT, 30 s by default.
const CALL_TIMEOUT: Duration = Duration::from_secs(90);
/// No answer is read beyond this; a thousand readings stay far below.
const ANSWER_LIMIT: usize = 16 << 20;

/// What is asked of the service.
#[derive(Clone, Debug)]
pub(super) struct Request {
    method: Method,
    path: String,
    query: Vec<(&'static str, String)>,
    body: Option<String>,
    /// None where the answer may take any time.
    timeout: Option<Duration>,
}

impl Request {
    /// Asks for something that the service has at hand.
    pub(super) fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path)
    }

    /// Asks for an action.
    pub(super) fn post(path: impl Into<String>) -> Self {
        Self::new(Method::POST, path)
    }

    pub(super) fn delete(path: impl Into<String>) -> Self {
        Self::new(Method::DELETE, path)
    }

    /// Asks for changes that the body tells.
    pub(super) fn patch(path: impl Into<String>, body: String) -> Self {
        Self {
            body: Some(body),
            ..Self::new(Method::PATCH, path)
        }
    }

    fn new(method: Method, path: impl Into<String>) -> Self {
        Self {
            method,
            path: path.into(),
            query: Vec::new(),
            body: None,
            timeout: Some(ANSWER_TIMEOUT),
        }
    }

    /// Adds a parameter.
    pub(super) fn with(mut self, name: &'static str, value: impl ToString) -> Self {
        self.query.push((name, value.to_string()));
        self
    }

    /// Adds a parameter where there is a value for it.
    pub(super) fn with_any(self, name: &'static str, value: Option<impl ToString>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// For what the service has to ask its database.
    pub(super) fn of_database(self) -> Self {
        self.within(Some(DATABASE_TIMEOUT))
    }

    /// For what the service has to ask the Client System.
    pub(super) fn of_client_system(self) -> Self {
        self.within(Some(CALL_TIMEOUT))
    }

    /// The answer may take so long, or any time.
    pub(super) fn within(self, timeout: Option<Duration>) -> Self {
        Self { timeout, ..self }
    }

    /// Whether an answer that is lost leaves open whether something was done.
    fn changes_something(&self) -> bool {
        self.method != Method::GET
    }
}

/// An answer of the service that is no refusal.
#[derive(Clone, Debug)]
pub(super) struct Answer<T> {
    /// What it says.
    pub(super) content: T,
    /// The same as it came.
    pub(super) document: String,
}

/// A running service. Lives on the thread that made it.
pub(in crate::cli) struct Service {
    client: Client,
    url: ServiceUrl,
    token: Option<SecretString>,
    json: bool,
    timeout: Option<Duration>,
}

impl Service {
    /// The service at a destination; `json` prints its answers as they come, `timeout` goes over that of all requests.
    pub(super) fn new(destination: Destination, json: bool, timeout: Option<Duration>) -> Self {
        let Destination { url, token, tls } = destination;
        let mut connector = Connector::new()
            .timeout(CONNECT_TIMEOUT)
            .handshake_timeout(CONNECT_TIMEOUT);
        if let Some(tls) = tls {
            connector = connector.rustls_0_23(tls);
        }
        let client = Client::builder()
            .connector(connector)
            .disable_redirects()
            .disable_timeout()
            .finish();
        Self {
            client,
            url,
            token,
            json,
            timeout,
        }
    }

    pub(super) fn url(&self) -> &ServiceUrl {
        &self.url
    }

    /// Whether answers are printed as they come.
    pub(super) fn prints_json(&self) -> bool {
        self.json
    }

    /// Asks, and prints the answer: as it came, or in the words of `render`.
    pub(super) async fn show<T: DeserializeOwned>(
        &self,
        request: Request,
        render: impl FnOnce(&T) -> String,
    ) -> Result<T, Failure> {
        let answer = self.ask(request).await?;
        self.print(&answer, render)?;
        Ok(answer.content)
    }

    /// Prints an answer: as it came, or in the words of `render`.
    pub(super) fn print<T>(
        &self,
        answer: &Answer<T>,
        render: impl FnOnce(&T) -> String,
    ) -> Result<Audience, Failure> {
        if self.json {
            print(&format!("{}\n", answer.document))
        } else {
            print(&render(&answer.content))
        }
    }

    /// The whole truth about the service.
    pub(super) async fn status(&self) -> Result<Answer<ServiceStatus>, Failure> {
        self.ask(Request::get("/status")).await
    }

    /// Asks, and reads the whole answer within the request's time.
    pub(super) async fn ask<T: DeserializeOwned>(
        &self,
        request: Request,
    ) -> Result<Answer<T>, Failure> {
        let document = match self.timeout.or(request.timeout) {
            None => self.exchange(&request).await?,
            Some(timeout) => tokio::time::timeout(timeout, self.exchange(&request))
                .await
                .unwrap_or_else(|_| {
                    let why =
                        format!("no whole answer within {timeout:?}, and --timeout waits longer");
                    Err(self.no_answer(why, request.changes_something()))
                })?,
        };
        match serde_json::from_str(&document) {
            Ok(content) => Ok(Answer { content, document }),
            Err(error) => Err(self.stranger(format!(
                "{} was answered with something else than expected ({error})",
                request.path
            ))),
        }
    }

    /// Asks for a stream that goes on until one side ends it.
    pub(super) async fn listen(
        &self,
        path: &str,
        media_type: &str,
    ) -> Result<impl Stream<Item = Result<Bytes, PayloadError>> + Unpin + use<>, Failure> {
        let request = Request::get(path);
        let timeout = self.timeout.unwrap_or(ANSWER_TIMEOUT);
        let response = tokio::time::timeout(timeout, self.send(&request))
            .await
            .unwrap_or_else(|_| {
                Err(self.no_answer(format!("no answer within {timeout:?}"), false))
            })?;
        let found = response
            .headers()
            .get(CONTENT_TYPE)
            .and_then(|found| found.to_str().ok())
            .unwrap_or("nothing");
        if response.status().is_success() && found.starts_with(media_type) {
            return Ok(response);
        }
        let found = found.to_owned();
        // A refusal is a document that ends.
        match tokio::time::timeout(timeout, self.read(response, &request)).await {
            Ok(Err(failure)) => Err(failure),
            _ => Err(self.stranger(format!(
                "{path} was answered with {found} and not {media_type}"
            ))),
        }
    }

    async fn exchange(&self, request: &Request) -> Result<String, Failure> {
        let response = self.send(request).await?;
        self.read(response, request).await
    }

    async fn send(
        &self,
        request: &Request,
    ) -> Result<ClientResponse<impl Stream<Item = Result<Bytes, PayloadError>> + use<>>, Failure>
    {
        let ready = self.request(request)?;
        let sent = match &request.body {
            Some(body) => ready.send_body(body.clone()),
            None => ready.send(),
        };
        sent.await
            .map_err(|error| self.not_sent(&error, request.changes_something()))
    }

    /// With whatever goes along with every request.
    fn request(&self, request: &Request) -> Result<ClientRequest, Failure> {
        let url = self.url.join(&request.path);
        let mut ready = self
            .client
            .request(request.method.clone(), &url)
            .no_decompress()
            .insert_header((ACCEPT_ENCODING, "identity"));
        if let Some(token) = &self.token {
            ready = ready.bearer_auth(token.expose_secret());
        }
        if let Some(socket) = self.url.socket {
            ready = ready.address(socket);
        }
        if request.body.is_some() {
            ready = ready.content_type("application/json");
        }
        if request.query.is_empty() {
            return Ok(ready);
        }
        ready
            .query(&request.query)
            .map_err(|error| Failure::Here(format!("{url} cannot be asked for: {error}")))
    }

    /// The document of a success; all else is a failure.
    async fn read<S>(
        &self,
        mut response: ClientResponse<S>,
        request: &Request,
    ) -> Result<String, Failure>
    where
        S: Stream<Item = Result<Bytes, PayloadError>>,
    {
        let status = response.status();
        let body = response
            .body()
            .limit(ANSWER_LIMIT)
            .await
            .map_err(|error| self.no_answer(body_words(&error), request.changes_something()))?;
        let document = String::from_utf8(body.to_vec())
            .map_err(|_| self.stranger("the answer is no text".to_owned()))?;
        if status.is_success() {
            return Ok(document);
        }
        match Problem::read(&document) {
            Some(problem) => Err(self.refused(problem, document)),
            None => Err(self.stranger(format!(
                "{} was answered with {status} ({})",
                request.path,
                shortened(document.trim(), 80)
            ))),
        }
    }

    /// A refusal is an answer as well: whoever reads documents gets this one too.
    fn refused(&self, problem: Problem, document: String) -> Failure {
        if self.json
            && let Err(failure) = print(&format!("{document}\n"))
        {
            return failure;
        }
        Failure::Refused(Box::new(problem))
    }

    fn not_sent(&self, error: &SendRequestError, may_have_acted: bool) -> Failure {
        let unreachable = |why: String| Failure::Unreachable {
            url: self.url.clone(),
            why,
        };
        match error {
            SendRequestError::Connect(ConnectError::Io(error))
                if error.kind() == io::ErrorKind::ConnectionRefused =>
            {
                Failure::NotRunning(self.url.clone())
            }
            SendRequestError::Connect(
                ConnectError::Resolver(_) | ConnectError::NoRecords | ConnectError::Unresolved,
            ) => unreachable("its name cannot be found".to_owned()),
            SendRequestError::Connect(ConnectError::Io(error)) if is_of_tls(error) => {
                unreachable(format!(
                    "TLS with it cannot be set up ({error}); --ca-file or LOCAL_TLS_CERT_FILE name the certificate to trust, and without LOCAL_TLS_CERT_FILE a service speaks http"
                ))
            }
            SendRequestError::Connect(ConnectError::Timeout) => {
                unreachable(format!("no connection within {CONNECT_TIMEOUT:?}"))
            }
            // The connection stood, and was closed before the answer began.
            SendRequestError::Connect(ConnectError::Disconnected)
            | SendRequestError::Send(_)
            | SendRequestError::Response(ParseError::Io(_)) => self.no_answer(
                "the connection was closed before the answer".to_owned(),
                may_have_acted,
            ),
            SendRequestError::Response(error) => {
                self.stranger(format!("the answer is not HTTP ({error})"))
            }
            SendRequestError::Connect(error) => unreachable(error.to_string()),
            other => self.no_answer(other.to_string(), may_have_acted),
        }
    }

    pub(super) fn no_answer(&self, why: String, may_have_acted: bool) -> Failure {
        Failure::NoAnswer {
            url: self.url.clone(),
            why,
            may_have_acted,
        }
    }

    pub(super) fn stranger(&self, why: String) -> Failure {
        Failure::Stranger {
            url: self.url.clone(),
            why,
        }
    }
}

fn is_of_tls(error: &io::Error) -> bool {
    let cause = error.get_ref();
    cause.is_some_and(|cause| cause.is::<rustls::Error>())
}

fn body_words(error: &PayloadError) -> String {
    match error {
        PayloadError::Overflow => {
            format!("the answer is larger than {ANSWER_LIMIT} bytes, which none of this service is")
        }
        error => format!("the answer broke off ({error})"),
    }
}

/// JSON of what goes with a request.
pub(super) fn document(content: &impl Serialize) -> Result<String, Failure> {
    serde_json::to_string(content)
        .map_err(|error| Failure::Here(format!("the request cannot be written: {error}")))
}
