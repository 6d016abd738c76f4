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

/// The settings in force, as a person may see them: secrets are replaced.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EffectiveSettings {
    /// The name of the environment whose settings were read; none when no environment was asked.
    pub environment: Option<String>,
    /// One for every key that has a value, by section.
    pub settings: Vec<EffectiveSetting>,
    /// Things that were given and have no effect.
    pub warnings: Vec<String>,
}

/// A setting in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EffectiveSetting {
    /// The key as written in a settings file.
    pub key: String,
    /// The value in the unit of the key.
    pub value: String,
    /// The layer that had the last word.
    pub from: String,
}
