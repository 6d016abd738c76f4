//! What may be said to the configuration downloader.

use actix::Message;

use crate::domain::{meter::MeterChanges, outcome::CallFailure, store::StoreError};

/// Download and apply the configuration now.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<MeterChanges, DownloadFailure>")]
pub struct DownloadNow;

/// Why no configuration was applied; the last good one stays in force.
#[derive(Clone, Debug, thiserror::Error)]
pub enum DownloadFailure {
    /// The download failed.
    #[error(transparent)]
    Call(#[from] CallFailure),
    /// It could not be written down.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A part of the service is being restarted.
    #[error("{0}")]
    Unavailable(String),
}
