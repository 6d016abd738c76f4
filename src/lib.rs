//! Uploads meter readings to the Client System: all of them, each once, over networks that fail.
//!
//! # The way of a reading
//! In, by SQL of another program or by `POST /api/v1/readings` → the DatabaseWriter commits → a pass of the
//! SyncManager asks the DatabaseWriter for a claimed batch → the ApiClient uploads it → the outcome comes
//! back → the DatabaseWriter settles. One direction; no actor asks back. The truth about the link flows as
//! an event from the ConnectivityMonitor to its subscribers; the ApiClient reports evidence to it.
//!
//! # The rooms
//! Which room may import which is checked by `tests/architecture.rs`.

/// Who hears the messages: API client, sync manager, connectivity monitor, database writer, heartbeat and
/// configuration downloader.
pub mod actors;
/// The only place that wires everything: `build` binds, `run_until_stopped` serves.
pub mod app;
/// The commands of the program.
pub mod cli;
/// Where "now" comes from.
pub mod clock;
/// Every operator action, once, as typed methods; HTTP and the tools of assistants are thin over it.
pub mod control;
/// The Client System and the meters of a pretended site, for demonstrations and tests.
pub mod demo;
/// Readings, meters, batches, outcomes, the link, status: pure, no input or output.
pub mod domain;
/// The local API, one file per resource.
pub mod http;
/// The tools, resources and prompts of assistants (MCP), thin over the control.
pub mod mcp;
/// What may be said to an actor: one file per recipient.
pub mod messages;
/// What the operator may decide: one file per section; loads, validates, redacts.
pub mod settings;
/// The Sync Database behind one trait, whatever engine holds it.
pub mod storage;
/// Keeps actors alive: restarts what fails, with fresh state, backoff and an intensity limit.
pub mod supervision;
/// Logs and metrics: what the service tells about itself while it runs.
pub mod telemetry;
/// The Client System as we see it: what goes over the wire, and what its answers mean.
pub mod upstream;
