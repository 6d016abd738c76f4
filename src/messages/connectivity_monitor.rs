//! What may be said to the connectivity monitor, and what it tells its subscribers.

use actix::Message;

use crate::domain::{
    connectivity::{ConnectivityStatus, LinkChange, LinkEvidence},
    timestamp::Timestamp,
};

/// A call to the Client System showed something about the link.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct ReportEvidence(pub LinkEvidence);

/// Check now, whatever the schedule says.
#[derive(Clone, Debug, Message)]
#[rtype(result = "CheckAnswer")]
pub struct ForceCheck;

/// What a forced check brought.
#[derive(Clone, Debug)]
pub enum CheckAnswer {
    /// The link as it is now.
    Checked(ConnectivityStatus),
    /// Not checked: all calls wait until this time.
    HeldUntil(Timestamp),
}

/// Told to subscribers when the link changed.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct LinkChanged(pub LinkChange);
