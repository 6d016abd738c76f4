//! What may be said to an actor: one file per recipient; the events that all may tell, and what all may be told of their
//! settings.

pub mod api_client;
pub mod config_downloader;
pub mod connectivity_monitor;
pub mod database_writer;
pub mod events;
pub mod heartbeat;
pub mod settings;
pub mod sync_manager;
