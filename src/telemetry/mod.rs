//! What the service tells about itself while it runs.

pub mod logging;
pub mod metrics;
pub mod panics;
#[cfg(feature = "otlp")]
pub mod traces;
#[cfg(not(feature = "otlp"))]
#[path = "no_traces.rs"]
pub mod traces;
