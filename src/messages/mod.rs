//! What may be said to an actor: one file per recipient, and the events that all may tell.

pub mod api_client;
pub mod config_downloader;
pub mod connectivity_monitor;
pub mod database_writer;
pub mod events;
pub mod heartbeat;
pub mod sync_manager;
