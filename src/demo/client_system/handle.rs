//! The simulator as tests and the demonstration hold it: questions to the ledger, commands to the server.

use std::{
    collections::HashMap,
    sync::{Arc, mpsc},
    time::Duration,
};

use chrono::{DateTime, Utc};

use super::{
    Deduplication, FaultRule, Heartbeat, KeyRecord, LedgerSummary, RateLimit, Reading,
    ReceivedBatch, Rollback, ServedConfiguration, fault::FaultScript, rate_limit::RateLimiter,
    reading::identity, server::Command, state::Shared,
};

/// The longest that a command waits for the listening side, should that be broken.
const PATIENCE: Duration = Duration::from_secs(10);

/// A running simulator, for any thread. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ClientSystemHandle {
    shared: Arc<Shared>,
    port: u16,
    control_port: Option<u16>,
}

impl ClientSystemHandle {
    pub(super) fn new(shared: Arc<Shared>, port: u16, control_port: Option<u16>) -> Self {
        Self {
            shared,
            port,
            control_port,
        }
    }

    /// `http://127.0.0.1:PORT/api`, as it belongs into CLIENT_API_URL.
    pub fn base_url(&self) -> String {
        format!("http://127.0.0.1:{}/api", self.port)
    }

    /// `http://127.0.0.1:PORT/_simulator`, on the control port if there is one.
    pub fn control_url(&self) -> String {
        format!(
            "http://127.0.0.1:{}/_simulator",
            self.control_port.unwrap_or(self.port)
        )
    }

    /// The port of the API.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The key that is let in.
    pub fn api_key(&self) -> String {
        self.shared.state().api_key.clone()
    }

    /// Lets another key in, and only that.
    pub fn set_api_key(&self, key: &str) {
        key.clone_into(&mut self.shared.state().api_key);
    }

    /// Down: the port refuses connections and the open ones are cut. Up: it listens again. Returns when it
    /// has happened; blocks the calling thread for some milliseconds.
    pub fn set_down(&self, down: bool) {
        let (done, happened) = mpsc::channel();
        let done = Some(done);
        self.send(if down {
            Command::Down {
                duration: None,
                done,
            }
        } else {
            Command::Up { done }
        });
        // A stopped simulator answers at once: it has dropped the channel.
        let _ = happened.recv_timeout(PATIENCE);
    }

    /// Down as by [`Self::set_down`], and up again by itself after `duration` on the simulator's clock.
    pub fn set_down_for(&self, duration: Duration) {
        let (done, happened) = mpsc::channel();
        self.send(Command::Down {
            duration: Some(duration),
            done: Some(done),
        });
        // As above.
        let _ = happened.recv_timeout(PATIENCE);
    }

    /// Appends a fault to the script.
    pub fn add_fault(&self, rule: FaultRule) {
        self.shared.state().script.add(rule);
    }

    /// Replaces the script of faults, counts included.
    pub fn set_faults(&self, rules: Vec<FaultRule>) {
        self.shared.state().script = FaultScript::new(rules);
    }

    /// Ends all scripted faults.
    pub fn clear_faults(&self) {
        self.set_faults(Vec::new());
    }

    /// The script's rules, each with the number of times that it has acted.
    pub fn faults(&self) -> Vec<(FaultRule, u64)> {
        self.shared.state().script.rules()
    }

    /// The counts. Walks over all readings: not for several times a second with a million of them.
    pub fn ledger(&self) -> LedgerSummary {
        self.shared.state().ledger.summary()
    }

    /// Stored readings with every repetition, and the different ones among them; cheap.
    pub fn delivered(&self) -> (u64, u64) {
        self.shared.state().ledger.delivered()
    }

    /// All requests to the batch call, in the order of their arrival.
    pub fn batches(&self) -> Vec<ReceivedBatch> {
        self.shared.state().ledger.batches().to_vec()
    }

    /// What is known about one idempotency key.
    pub fn key(&self, key: &str) -> Option<KeyRecord> {
        self.shared.state().ledger.key(key).cloned()
    }

    /// All idempotency keys seen.
    pub fn keys(&self) -> HashMap<String, KeyRecord> {
        self.shared.state().ledger.keys().clone()
    }

    /// How often a reading was stored, with every repetition; `value` is compared as text.
    pub fn times_stored(
        &self,
        meter: &str,
        timestamp: DateTime<Utc>,
        data_point: &str,
        value: &str,
    ) -> u32 {
        self.shared
            .state()
            .ledger
            .times_stored(identity(meter, timestamp, data_point, value))
    }

    /// Every stored reading in the order of storing, with repetitions; empty unless the simulator keeps them.
    pub fn stored_readings(&self) -> Vec<Reading> {
        let state = self.shared.state();
        state
            .ledger
            .batches()
            .iter()
            .flat_map(|batch| batch.stored_readings.iter().cloned())
            .collect()
    }

    /// All heartbeats received.
    pub fn heartbeats(&self) -> Vec<Heartbeat> {
        self.shared.state().ledger.heartbeats().to_vec()
    }

    /// The configuration that is served.
    pub fn configuration(&self) -> ServedConfiguration {
        self.shared.state().configuration.clone()
    }

    /// Serves another configuration from now on.
    pub fn set_configuration(&self, configuration: ServedConfiguration) {
        self.shared.state().configuration = configuration;
    }

    /// Changes what a failing row does to its batch.
    pub fn set_rollback(&self, rollback: Rollback) {
        self.shared.state().rollback = rollback;
    }

    /// Changes what a repeated key means.
    pub fn set_deduplication(&self, deduplication: Deduplication) {
        self.shared.state().deduplication = deduplication;
    }

    /// Changes the rate limit, and starts its window anew.
    pub fn set_rate_limit(&self, limit: Option<RateLimit>) {
        self.shared.state().limiter = RateLimiter::new(limit);
    }

    /// Changes the meters whose rows fail in the database.
    pub fn set_failing_meters(&self, meters: impl IntoIterator<Item = String>) {
        self.shared.state().failing_meters = meters.into_iter().collect();
    }

    /// Forgets everything that was delivered and all faults; the settings stay.
    pub fn reset(&self) {
        self.shared.state().reset();
    }

    pub(super) fn send(&self, command: Command) {
        // The listening side is gone once the simulator has been stopped.
        let _ = self.shared.commands.send(command);
    }
}
