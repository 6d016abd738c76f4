//! What may be said to the heartbeat.

use actix::Message;

use crate::domain::{outcome::CallFailure, status::HeartbeatStatus};

/// Send a heartbeat now.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<HeartbeatStatus, CallFailure>")]
pub struct SendHeartbeat;
