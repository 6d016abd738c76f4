//! Sends spans to an OpenTelemetry collector, as OTLP over HTTP. Nothing of this exists unless an address is given.
//!
//! The library gathers spans and sends them from a thread of its own. The HTTP client lives on the thread of the service,
//! so requests go there through a channel.

use std::time::Duration;

use async_trait::async_trait;
use awc::Client;
use opentelemetry::trace::TracerProvider;
use opentelemetry_http::{Bytes, HttpClient, HttpError};
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::{Resource, trace::SdkTracerProvider};
use tokio::sync::{mpsc, oneshot};
use tracing::Subscriber;
use tracing_subscriber::{Layer, registry::LookupSpan};

use crate::settings::TracingSettings;

/// What the collector knows this program as.
const NAME: &str = env!("CARGO_PKG_NAME");
/// No request to the collector takes longer.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The end of the process waits no longer for the last spans.
const FAREWELL: Duration = Duration::from_secs(2);

/// Traces could not be set up.
#[derive(Debug, thiserror::Error)]
#[error(
    "traces cannot be sent to the address in OTLP_ENDPOINT ({0}); correct it, or unset it to go without traces"
)]
pub struct TracesError(#[from] ExporterBuildError);

/// Spans are gathered; nobody sends them yet.
#[derive(Debug)]
pub struct Traces {
    provider: SdkTracerProvider,
    requests: mpsc::UnboundedReceiver<Posted>,
}

/// Spans are gathered and sent.
#[derive(Debug)]
pub struct Sending(SdkTracerProvider);

/// A request on its way to the thread that sends it, with the place for its answer.
#[derive(Debug)]
struct Posted {
    request: http::Request<Bytes>,
    answer: oneshot::Sender<Result<http::StatusCode, String>>,
}

impl Traces {
    /// Gathers spans from now on, where the settings ask for it.
    ///
    /// # Errors
    /// When the library does not take the address.
    pub fn begin(settings: &TracingSettings) -> Result<Option<Self>, TracesError> {
        let Some(endpoint) = &settings.endpoint else {
            return Ok(None);
        };
        // The library sends one request after another, so that no more than one waits here.
        let (post, requests) = mpsc::unbounded_channel();
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(Post(post))
            .with_endpoint(format!("{endpoint}/v1/traces"))
            .build()?;
        let version = opentelemetry::KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
        let resource = Resource::builder()
            .with_service_name(NAME)
            .with_attribute(version);
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_resource(resource.build())
            .build();
        Ok(Some(Self { provider, requests }))
    }

    /// What hands spans over.
    pub fn layer<S>(&self) -> impl Layer<S> + Send + Sync + use<S>
    where
        S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
    {
        tracing_opentelemetry::layer().with_tracer(self.provider.tracer(NAME))
    }

    /// Sends what is gathered, on the current arbiter.
    pub fn send(self) -> Sending {
        actix::spawn(send_forever(self.requests));
        Sending(self.provider)
    }
}

impl Sending {
    /// Sends what is left, and ends.
    pub async fn finish(self) {
        let shut_down = move || self.0.shutdown_with_timeout(FAREWELL);
        // Waiting here would keep the last request from being sent.
        if let Ok(Err(error)) = tokio::task::spawn_blocking(shut_down).await {
            tracing::warn!(%error, "the last traces were not sent and are lost");
        }
    }
}

/// The library's end of the channel.
#[derive(Debug)]
struct Post(mpsc::UnboundedSender<Posted>);

#[async_trait]
impl HttpClient for Post {
    async fn send_bytes(
        &self,
        request: http::Request<Bytes>,
    ) -> Result<http::Response<Bytes>, HttpError> {
        let (answer, answered) = oneshot::channel();
        self.0.send(Posted { request, answer })?;
        let mut response = http::Response::new(Bytes::new());
        *response.status_mut() = answered.await??;
        Ok(response)
    }
}

async fn send_forever(mut requests: mpsc::UnboundedReceiver<Posted>) {
    // Installed once per process; whoever came first did the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = Client::builder().timeout(TIMEOUT).finish();
    let mut is_failing = false;
    while let Some(Posted { request, answer }) = requests.recv().await {
        let sent = send(&client, request).await;
        let failure = match &sent {
            Ok(status) if status.is_success() => None,
            Ok(status) => Some(format!("the collector answered {status}")),
            Err(words) => Some(words.clone()),
        };
        // A collector that stays away would fill the log with the same line every few seconds.
        if let Some(failure) = failure.as_ref().filter(|_| !is_failing) {
            tracing::warn!(
                failure,
                "traces cannot be sent and are lost; look at the collector at OTLP_ENDPOINT"
            );
        }
        is_failing = failure.is_some();
        // Whoever waits longer than its own timeout has gone.
        let _ = answer.send(sent);
    }
}

/// The status of the answer. What else it says concerns spans that were refused, which nobody sends again.
async fn send(client: &Client, request: http::Request<Bytes>) -> Result<http::StatusCode, String> {
    let (head, body) = request.into_parts();
    let mut call = client.post(head.uri.to_string());
    for (name, value) in &head.headers {
        call = call.insert_header((name.as_str(), value.as_bytes()));
    }
    let answer = call
        .send_body(body)
        .await
        .map_err(|error| error.to_string())?;
    http::StatusCode::from_u16(answer.status().as_u16()).map_err(|error| error.to_string())
}
