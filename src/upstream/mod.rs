//! The Client System as we see it: what goes over the wire, and what its answers mean. No I/O.

pub mod answer;
pub mod body;
pub mod classify;
pub mod configuration;
mod fields;
pub mod heartbeat;
mod writing;
