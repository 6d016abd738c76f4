//! What the service speaks about: readings, meters, batches, outcomes, the link, status. Pure: no I/O, no clock.

pub mod answer;
pub mod backoff;
pub mod batch;
pub mod census;
pub mod compression;
pub mod connectivity;
pub mod event;
pub mod finding;
pub mod history;
pub mod import;
pub mod link_probe;
pub mod meter;
pub mod outcome;
pub mod pass;
pub mod quarantine;
pub mod queue_shape;
pub mod reading;
pub mod reading_ids;
pub mod request_budget;
pub mod schedule;
pub mod status;
pub mod store;
pub mod sync_log;
pub mod timestamp;
pub mod value;
pub mod words;
