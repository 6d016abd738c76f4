//! What the service tells about itself while it runs.

pub mod logging;
pub mod metrics;
pub mod panics;
