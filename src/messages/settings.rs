//! What may be said to all who have settings of their own.

use actix::Message;

/// Settings that are read while the service runs have changed: look at them again.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct SettingsChanged;
