//! What the tools are given. Unknown arguments are refused: a misspelt one should not silently mean the default.

use rmcp::model::JsonObject;
use serde::{Deserialize, Deserializer, de::DeserializeOwned, de::Error};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::{control::ControlError, domain::quarantine::QuarantineReason};

/// A whole number within bounds, which the schemas below have to repeat.
#[derive(Clone, Copy, Debug)]
pub(super) struct Within<const LEAST: u32, const MOST: u32, const DEFAULT: u32>(u32);

/// Hours of the operation log, up to ten years.
pub(super) type LogHours = Within<1, 87_600, 24>;
/// Hours of readings, up to a century.
pub(super) type ReadingHours = Within<1, 876_000, 24>;
/// How many items at most.
pub(super) type Limit = Within<1, 1_000, 100>;
/// How many items to pass over first.
pub(super) type Offset = Within<0, 1_000_000_000, 0>;

impl<const LEAST: u32, const MOST: u32, const DEFAULT: u32> Within<LEAST, MOST, DEFAULT> {
    pub(super) fn get(self) -> u32 {
        self.0
    }
}

impl<const LEAST: u32, const MOST: u32, const DEFAULT: u32> Default
    for Within<LEAST, MOST, DEFAULT>
{
    fn default() -> Self {
        Self(DEFAULT)
    }
}

impl<'de, const LEAST: u32, const MOST: u32, const DEFAULT: u32> Deserialize<'de>
    for Within<LEAST, MOST, DEFAULT>
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        whole(&value)
            .and_then(|number| u32::try_from(number).ok())
            .filter(|number| (LEAST..=MOST).contains(number))
            .map(Self)
            .ok_or_else(|| {
                D::Error::custom(format!(
                    "{value} is not a whole number from {LEAST} to {MOST}"
                ))
            })
    }
}

/// To JSON Schema, `24.0` is a whole number as well.
fn whole(value: &Value) -> Option<u64> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "whole, and within what a double holds exactly"
    )]
    let of_float = |number: f64| {
        (number.fract() == 0.0 && (0.0..=9e15).contains(&number)).then_some(number as u64)
    };
    value.as_u64().or_else(|| value.as_f64().and_then(of_float))
}

/// Nothing.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}

/// How far back to look in the operation log.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct StatsArguments {
    /// Hours to look back.
    #[serde(default)]
    #[schema(value_type = u32, minimum = 1, maximum = 87_600, default = 24)]
    pub(super) hours: LogHours,
}

/// Which readings to look at.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReadingsArguments {
    /// The external id of a meter; all meters where it is left out.
    pub(super) meter_id: Option<String>,
    /// Hours to look back, from now, by the time of measurement.
    #[serde(default)]
    #[schema(value_type = u32, minimum = 1, maximum = 876_000, default = 24)]
    pub(super) hours: ReadingHours,
    /// How many readings at most, the newest first.
    #[serde(default)]
    #[schema(value_type = u32, minimum = 1, maximum = 1_000, default = 100)]
    pub(super) limit: Limit,
}

/// Which meters to look at.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct MeterArguments {
    /// The external id of a meter; all active meters where it is left out.
    pub(super) meter_id: Option<String>,
}

/// Which quarantined readings to look at.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ListArguments {
    /// Only readings that are in quarantine for this reason.
    pub(super) reason: Option<QuarantineReason>,
    /// Only readings of the meter with this external id.
    pub(super) meter: Option<String>,
    /// How many at most, the newest first.
    #[serde(default)]
    #[schema(value_type = u32, minimum = 1, maximum = 1_000, default = 100)]
    pub(super) limit: Limit,
    /// How many to pass over first.
    #[serde(default)]
    #[schema(value_type = u32, minimum = 0, maximum = 1_000_000_000, default = 0)]
    pub(super) offset: Offset,
}

/// Which quarantined readings to discard: one by its id, those of a reason or a meter or both, or all.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DiscardArguments {
    /// The id of one entry, as list_quarantine shows it.
    pub(super) id: Option<i64>,
    /// All that are in quarantine for this reason.
    pub(super) reason: Option<QuarantineReason>,
    /// All of the meter with this external id.
    pub(super) meter: Option<String>,
    /// All that there are.
    #[serde(default)]
    #[schema(default = false)]
    pub(super) all: bool,
}

/// Which quarantined readings to return to the queue: one by its id, those of a reason or a meter or both, or all.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RequeueArguments {
    /// The id of one entry, as list_quarantine shows it.
    pub(super) id: Option<i64>,
    /// All that are in quarantine for this reason.
    pub(super) reason: Option<QuarantineReason>,
    /// All of the meter with this external id.
    pub(super) meter: Option<String>,
    /// All that there are.
    #[serde(default)]
    #[schema(default = false)]
    pub(super) all: bool,
    /// Also those that the Client System may have already, at the price of a second copy there. Ask a person first.
    #[serde(default)]
    #[schema(default = false)]
    pub(super) accept_double: bool,
}

/// Reads a tool's arguments.
///
/// # Errors
/// Names the argument at fault, and what is allowed.
pub(super) fn parse<A: DeserializeOwned>(arguments: JsonObject) -> Result<A, ControlError> {
    let single = arguments.clone();
    serde_json::from_value(Value::Object(arguments)).map_err(|error| {
        // No argument is required by itself, so that one that is refused alone is the one at fault.
        let culprit = single.into_iter().find_map(|(name, value)| {
            let alone = Map::from_iter([(name.clone(), value)]);
            let refused = serde_json::from_value::<A>(Value::Object(alone)).err()?;
            Some((name, refused))
        });
        let words = match culprit {
            Some((name, refused)) => format!("the argument {name} is not valid ({refused})"),
            None => format!("the arguments are not valid ({error})"),
        };
        ControlError::Invalid(format!(
            "{words}, so nothing was done; the tool's input schema says what is allowed"
        ))
    })
}
