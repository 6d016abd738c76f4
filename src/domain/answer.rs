//! What an operator's actions bring, where nothing else tells it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What switching synchronisation on or off brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Switched {
    /// Whether that is new.
    pub changed: bool,
    /// Whether synchronisation is started now.
    pub is_running: bool,
}

/// A pass that nobody waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Triggered {
    /// The number of the pass.
    pub pass_id: u64,
}
