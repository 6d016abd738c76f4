//! What the simulated server knows and how it is set, shared between its threads and its handles.

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::{
    ClientSystemOptions, Rollback, answer::Answer, connection::Connections, fault::FaultScript,
    ledger::Ledger, open_requests::OpenRequests, rate_limit::RateLimiter, server::Command,
};
use crate::clock::Clock;

/// What a repeated `Idempotency-Key` means to the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Deduplication {
    /// As deployed: nothing, the header is ignored.
    #[default]
    Off,
    /// The first answer is given again. Another body under the same key is refused with 422.
    ReplayAnswer,
    /// The answer is `inserted` 0 without errors. Another body under the same key is refused with 422.
    NothingInserted,
}

/// The site that the API key belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Site {
    /// The server's number for it.
    pub id: i64,
    /// Its name.
    pub name: String,
}

/// What `/api/sync/config` serves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServedConfiguration {
    /// The site's meters.
    pub meters: Vec<ServedMeter>,
    /// Minutes between two sync passes.
    pub sync_interval_minutes: u32,
    /// Readings in one batch.
    pub batch_size: u32,
    /// Answers as the older version did: `{"meters":[…]}` at the top level and nothing else.
    #[serde(default)]
    pub meters_only: bool,
}

/// One meter in a configuration.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServedMeter {
    /// The meter's external id.
    pub external_id: String,
    /// Its name.
    pub name: String,
    /// Its BACnet device id.
    #[serde(default)]
    pub bacnet_device_id: Option<i64>,
    /// Its BACnet address.
    #[serde(default)]
    pub bacnet_ip: Option<String>,
    /// Free-form settings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<serde_json::Value>,
}

/// All of the simulator that its threads share.
#[derive(Debug)]
pub(super) struct Shared {
    pub clock: Clock,
    /// Requests may come in Zstandard.
    pub zstd: bool,
    pub keep_readings: bool,
    pub time_per_reading: Duration,
    pub connections: Connections,
    pub open: OpenRequests,
    pub commands: mpsc::UnboundedSender<Command>,
    state: Mutex<State>,
}

/// The part of it that changes.
#[derive(Debug)]
pub(super) struct State {
    pub api_key: String,
    pub site: Site,
    pub configuration: ServedConfiguration,
    pub rollback: Rollback,
    pub deduplication: Deduplication,
    pub failing_meters: HashSet<String>,
    pub limiter: RateLimiter,
    pub script: FaultScript,
    pub ledger: Ledger,
    /// Hash of the body and first answer of each key under which readings were stored; only filled while
    /// the server de-duplicates.
    pub answered: HashMap<String, (u64, Answer)>,
}

impl Shared {
    pub fn new(options: ClientSystemOptions, commands: mpsc::UnboundedSender<Command>) -> Self {
        Self {
            clock: options.clock,
            zstd: options.zstd,
            keep_readings: options.keep_readings,
            time_per_reading: options.time_per_reading,
            connections: Connections::default(),
            open: OpenRequests::default(),
            commands,
            state: Mutex::new(State {
                api_key: options.api_key,
                site: options.site,
                configuration: options.configuration,
                rollback: options.rollback,
                deduplication: options.deduplication,
                failing_meters: options.failing_meters.into_iter().collect(),
                limiter: RateLimiter::new(options.rate_limit),
                script: FaultScript::new(options.faults),
                ledger: Ledger::default(),
                answered: HashMap::new(),
            }),
        }
    }

    /// The state, locked: never hold it over an await.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Forgets what was delivered and scripted; the settings stay.
    pub fn reset(&mut self) {
        self.ledger.reset();
        self.script = FaultScript::default();
        self.answered.clear();
        self.limiter.restart();
    }
}
