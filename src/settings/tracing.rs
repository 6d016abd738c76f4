//! Where traces go.

use super::{reader::Reader, url::base_url};

const ALLOWED: &str = "an address such as http://127.0.0.1:4318, beginning with http:// or https://, with a host and without user name, query or fragment";

/// Where traces go.
#[derive(Clone, Debug)]
pub struct TracingSettings {
    /// The base address of a collector, `http` or `https`, without a trailing slash; none for no traces at all.
    pub endpoint: Option<String>,
}

impl TracingSettings {
    pub(super) fn read(reader: &mut Reader) -> Option<Self> {
        if reader.given("otlp_endpoint").is_none() {
            return Some(Self { endpoint: None });
        }
        let endpoint = reader.text("otlp_endpoint", ALLOWED, |text| {
            base_url(
                text,
                "a collector that asks for them needs a proxy before it",
            )
        })?;
        reader.show_given("otlp_endpoint", endpoint.clone());
        Some(Self {
            endpoint: Some(endpoint),
        })
    }
}
