//! What is measured, a file for every table.

pub mod drain;
pub mod idle;
pub mod ingestion;
pub mod instructions;
pub mod latency;
pub mod neighbours;
pub mod scaling;
pub mod status;
