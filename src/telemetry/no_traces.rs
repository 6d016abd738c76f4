//! In place of the traces, where the program was built without them.

use std::convert::Infallible;

use tracing::Subscriber;
use tracing_subscriber::{Layer, layer::Identity, registry::LookupSpan};

use crate::settings::TracingSettings;

/// Nothing: there are none.
#[derive(Debug)]
pub struct Traces(Infallible);

/// Nothing: there is none.
#[derive(Debug)]
pub struct Sending(Infallible);

/// Traces are asked for.
#[derive(Debug, thiserror::Error)]
#[error(
    "this program was built without traces, so that nothing would be sent to OTLP_ENDPOINT; unset it, or build with the feature `otlp`"
)]
pub struct TracesError;

impl Traces {
    /// None, as long as none are asked for.
    ///
    /// # Errors
    /// When traces are asked for.
    pub fn begin(settings: &TracingSettings) -> Result<Option<Self>, TracesError> {
        match settings.endpoint {
            Some(_) => Err(TracesError),
            None => Ok(None),
        }
    }

    /// Never called.
    pub fn layer<S>(&self) -> impl Layer<S> + Send + Sync + use<S>
    where
        S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
    {
        Identity::new()
    }

    /// Never called.
    pub fn send(self) -> Sending {
        Sending(self.0)
    }
}

impl Sending {
    /// Never called.
    pub async fn finish(self) {
        match self.0 {}
    }
}
