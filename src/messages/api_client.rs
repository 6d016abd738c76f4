//! What may be said to the API client: every call to the Client System.

use std::{sync::Arc, time::Duration};

use actix::Message;
use tracing::Span;

use crate::domain::{
    batch::IdempotencyKey,
    compression::Coding,
    meter::SiteConfiguration,
    outcome::{CallFailure, UploadOutcome},
    status::State,
    timestamp::Timestamp,
};

/// Upload a batch. While an exchange for the same key is under way, this one joins it.
#[derive(Clone, Debug, Message)]
#[rtype(result = "UploadOutcome")]
pub struct UploadBatch {
    /// The batch's key.
    pub key: IdempotencyKey,
    /// The JSON body, compressed in one way or another.
    pub body: Arc<[u8]>,
    /// How many readings it holds.
    pub readings: usize,
    /// Whether the key may have reached the server before.
    pub repeated: bool,
    /// How long the whole exchange may take.
    pub timeout: Duration,
    /// What this upload belongs to.
    pub span: Span,
}

/// Look whether the Client System answers at all; answers with words where it did, and yet does not seem to be well.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<Option<String>, CallFailure>")]
pub struct TestConnection;

/// Look whether the Client System accepts the key.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<(), CallFailure>")]
pub struct Authenticate;

/// Download the site's configuration.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<SiteConfiguration, CallFailure>")]
pub struct DownloadConfig;

/// Send a heartbeat; answers with the server's clock.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<Option<Timestamp>, CallFailure>")]
pub struct PostHeartbeat {
    /// The service's state.
    pub status: State,
    /// Readings that wait; none while nobody has counted them.
    pub queue_size: Option<u64>,
    /// When the newest reading was measured.
    pub last_collection: Option<Timestamp>,
    /// Seconds since the process started.
    pub uptime: u64,
}

/// Leave the Client System alone until then: it asked another instance to.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct HoldUntil(pub Timestamp);

/// What the API client publishes.
#[derive(Clone, Debug, Default)]
pub struct ApiClientSnapshot {
    /// Until when all calls wait at the Client System's wish.
    pub held_until: Option<Timestamp>,
    /// Since when.
    pub held_since: Option<Timestamp>,
    /// Requests that the Client System still allows in its current window, where it says so.
    pub requests_remaining: Option<u64>,
    /// Requests that it allows in a window.
    pub requests_limit: Option<u64>,
    /// Whether so few are left that uploads are spaced, and batches had better be large.
    pub requests_are_scarce: bool,
    /// Whether it takes requests in Zstandard; none before it has let know.
    pub takes_zstd: Option<bool>,
    /// How it refuses to be sent compressed requests, though it should be.
    pub refused_coding: Option<RefusedCoding>,
    /// When the next upload may begin, on the clock that never goes back.
    pub next_upload_at: Duration,
}

/// A coding in which the Client System took no request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefusedCoding {
    /// Which one; that it refuses gzip stands for all.
    pub coding: Coding,
    /// Until when it is not tried again.
    pub until: Timestamp,
}
