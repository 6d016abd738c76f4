//! Uploads meter readings to the Client System.

/// The commands.
pub mod cli;
/// What the operator may decide: one file per section; loads, validates, redacts.
pub mod settings;
/// What the service tells about itself while it runs.
pub mod telemetry;
