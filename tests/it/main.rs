//! The integration tests: one binary, a module for every room.
#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a helper that fails should fail its test"
)]

mod access;
mod answers;
mod connectivity;
mod events;
mod helpers;
mod history;
mod ingestion;
mod local_api;
mod locked;
mod panics;
mod periodic;
mod process;
mod quarantine;
mod rivals;
mod storage;
mod watchdog;
