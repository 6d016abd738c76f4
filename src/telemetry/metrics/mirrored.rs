//! What is counted elsewhere and only shown here, as it is at the moment in which somebody asks.

use std::borrow::Cow;

use prometheus::{Gauge, IntCounter, IntCounterVec, IntGauge, IntGaugeVec};

use super::declare::Declare;

/// What there is to show. Times are seconds since 1970.
#[derive(Clone, Debug, Default)]
pub struct Mirrored {
    /// Readings that wait, those in flight included.
    pub queue_readings: u64,
    /// Whether the numbers of the queue tell anything.
    pub queue_is_counted: bool,
    /// Readings in batches without an outcome yet.
    pub in_flight_readings: u64,
    /// Readings set aside.
    pub quarantined_readings: u64,
    /// Batches that could not be delivered and were set back.
    pub parked_batches: u64,
    /// Seconds since the oldest waiting reading came in; 0 with an empty queue.
    pub oldest_pending_age_seconds: f64,
    /// Readings that leave the queue per second.
    pub drain_rate: f64,
    /// Bytes free where the Sync Database lies.
    pub disk_free_bytes: Option<u64>,
    /// Seconds until the disk is full at the present growth; none while it does not grow.
    pub disk_until_full_seconds: Option<f64>,
    /// Whether the disk has no room for new readings.
    pub disk_is_full: bool,
    /// Readings uploaded since the process started.
    pub uploaded_readings: u64,
    /// Readings in batches that were given up for a pass, since the process started.
    pub failed_readings: u64,
    /// Uploads whose outcome stayed open.
    pub possibly_doubled_uploads: u64,
    /// Number of the last pass that ended.
    pub passes: u64,
    /// Whether the Client System is reachable.
    pub client_system_connected: bool,
    /// When that changed last.
    pub client_system_changed_at: Option<f64>,
    /// Failures to reach it in a row.
    pub client_system_failures: u32,
    /// When a heartbeat was last accepted.
    pub heartbeat_success_at: Option<f64>,
    /// Heartbeats in a row that were not accepted.
    pub heartbeat_failures: u32,
    /// Every state's name, and whether the service is in it.
    pub states: Vec<(String, bool)>,
    /// How every actor fares.
    pub actors: Vec<MirroredActor>,
    /// Calls of the local API that were refused before anything was done, by reason.
    pub refused_calls: Vec<(&'static str, u64)>,
    /// Whole seconds since the process started.
    pub uptime_seconds: u64,
}

/// What there is to show of one actor.
#[derive(Clone, Debug, Default)]
pub struct MirroredActor {
    /// Its name.
    pub name: Cow<'static, str>,
    /// Whether it takes messages.
    pub is_up: bool,
    /// How often it was restarted.
    pub restarts: u64,
    /// Pieces of work that it has begun and not ended.
    pub work_in_hand: usize,
}

/// A whole number that is left out for as long as nobody knows it.
struct Known(IntGaugeVec);

impl Known {
    /// It has one series at the most, without a label.
    const LABELS: [&'static str; 0] = [];

    fn declare(declare: &Declare<'_>, name: &str, help: &str) -> Result<Self, prometheus::Error> {
        Ok(Self(declare.gauges(name, help, &Self::LABELS)?))
    }

    fn show(&self, number: Option<u64>) {
        match number {
            Some(number) => self.0.with_label_values(&Self::LABELS).set(whole(number)),
            None => self.0.reset(),
        }
    }
}

pub(super) struct Mirrors {
    queue_readings: Known,
    queue_counted: IntGauge,
    in_flight_readings: Known,
    quarantined_readings: Known,
    parked_batches: Known,
    oldest_pending_age: Gauge,
    drain_rate: Gauge,
    disk_free: Gauge,
    disk_until_full: Gauge,
    disk_full: IntGauge,
    uploaded_readings: IntCounter,
    failed_readings: IntCounter,
    possibly_doubled_uploads: IntCounter,
    passes: IntCounter,
    client_system_connected: IntGauge,
    client_system_changed: Gauge,
    client_system_failures: IntGauge,
    heartbeat_success: Gauge,
    heartbeat_failures: IntGauge,
    state: IntGaugeVec,
    actor_up: IntGaugeVec,
    actor_restarts: IntCounterVec,
    actor_work: IntGaugeVec,
    refused_calls: IntCounterVec,
    uptime: IntGauge,
}

impl Mirrors {
    pub(super) fn declare(declare: &Declare<'_>) -> Result<Self, prometheus::Error> {
        Ok(Self {
            queue_readings: Known::declare(
                declare,
                "queue_readings",
                "Readings that the Client System does not have yet; absent while nobody knows.",
            )?,
            queue_counted: declare.gauge(
                "queue_counted",
                "0 while the queue has not been counted since the start or cannot be read, so that its numbers tell nothing.",
            )?,
            in_flight_readings: Known::declare(
                declare,
                "in_flight_readings",
                "Readings in batches that were claimed and have no outcome yet; absent while nobody knows.",
            )?,
            quarantined_readings: Known::declare(
                declare,
                "quarantined_readings",
                "Readings set aside; absent while nobody knows.",
            )?,
            parked_batches: Known::declare(
                declare,
                "parked_batches",
                "Batches that could not be delivered and were set back; absent while nobody knows.",
            )?,
            oldest_pending_age: declare.real(
                "oldest_pending_age_seconds",
                "Seconds since the oldest waiting reading came in; 0 with an empty queue, NaN while nobody knows.",
            )?,
            drain_rate: declare.real(
                "drain_rate_readings_per_second",
                "Readings that leave the queue per second, averaged over the last minute, or over the last few uploads where these are further apart.",
            )?,
            disk_free: declare.real(
                "disk_free_bytes",
                "Bytes free where the Sync Database lies; NaN where that cannot be known.",
            )?,
            disk_until_full: declare.real(
                "disk_until_full_seconds",
                "Seconds until the disk is full at the growth of the last hour; +Inf while it does not grow, NaN where that cannot be known.",
            )?,
            disk_full: declare.gauge(
                "disk_full",
                "1 while the disk has no room for new readings.",
            )?,
            uploaded_readings: declare.counter(
                "uploaded_readings_total",
                "Readings that the Client System stored.",
            )?,
            failed_readings: declare.counter(
                "failed_readings_total",
                "Readings in batches that were given up for a pass.",
            )?,
            possibly_doubled_uploads: declare.counter(
                "possibly_doubled_uploads_total",
                "Uploads whose outcome stayed open, so that the Client System may hold them twice.",
            )?,
            passes: declare.counter("passes_total", "Sync passes that ended.")?,
            client_system_connected: declare.gauge(
                "client_system_connected",
                "1 while the Client System answers, whatever it says.",
            )?,
            client_system_changed: declare.real(
                "client_system_connected_changed_timestamp_seconds",
                "Since when the Client System answers, or does not, in seconds since 1970; NaN while nothing is known.",
            )?,
            client_system_failures: declare.gauge(
                "client_system_consecutive_failures",
                "Failures in a row to reach the Client System.",
            )?,
            heartbeat_success: declare.real(
                "heartbeat_last_success_timestamp_seconds",
                "When a heartbeat was last accepted, in seconds since 1970; NaN before the first, and where another instance sends them.",
            )?,
            heartbeat_failures: declare.gauge(
                "heartbeat_consecutive_failures",
                "Heartbeats in a row that were not accepted; while the Client System is known to be unreachable none is tried.",
            )?,
            state: declare.gauges(
                "state",
                "1 for the state that the service is in, 0 for all others.",
                &["state"],
            )?,
            actor_up: declare.gauges(
                "actor_up",
                "1 while the actor takes messages, 0 while it is being restarted or has ended.",
                &["actor"],
            )?,
            actor_restarts: declare.counters(
                "actor_restarts_total",
                "Restarts of the actor.",
                "actor",
            )?,
            actor_work: declare.gauges(
                "actor_work_in_hand",
                "Pieces of work that the actor has begun and not ended.",
                &["actor"],
            )?,
            refused_calls: declare.counters(
                "local_api_refused_calls_total",
                "Calls of the local API that were refused before anything was done, for a wrong or missing token or because of where they came from.",
                "reason",
            )?,
            uptime: declare.gauge("uptime_seconds", "Seconds since the process started.")?,
        })
    }

    pub(super) fn show(&self, mirrored: &Mirrored) {
        self.show_queue(mirrored);
        self.show_disk(mirrored);
        self.show_client_system(mirrored);
        for (name, is_in_it) in &mirrored.states {
            self.state
                .with_label_values(&[name])
                .set(i64::from(*is_in_it));
        }
        for actor in &mirrored.actors {
            let label = [actor.name.as_ref()];
            self.actor_up
                .with_label_values(&label)
                .set(i64::from(actor.is_up));
            raise(
                &self.actor_restarts.with_label_values(&label),
                actor.restarts,
            );
            self.actor_work
                .with_label_values(&label)
                .set(i64::try_from(actor.work_in_hand).unwrap_or(i64::MAX));
        }
        for (reason, count) in &mirrored.refused_calls {
            raise(&self.refused_calls.with_label_values(&[reason]), *count);
        }
        self.uptime.set(whole(mirrored.uptime_seconds));
    }

    fn show_queue(&self, mirrored: &Mirrored) {
        let is_counted = mirrored.queue_is_counted;
        self.queue_counted.set(i64::from(is_counted));
        for (gauge, number) in [
            (&self.queue_readings, mirrored.queue_readings),
            (&self.in_flight_readings, mirrored.in_flight_readings),
            (&self.quarantined_readings, mirrored.quarantined_readings),
            (&self.parked_batches, mirrored.parked_batches),
        ] {
            gauge.show(is_counted.then_some(number));
        }
        let age = mirrored.oldest_pending_age_seconds;
        self.oldest_pending_age
            .set(known(is_counted.then_some(age)));
        self.drain_rate.set(mirrored.drain_rate);
        raise(&self.uploaded_readings, mirrored.uploaded_readings);
        raise(&self.failed_readings, mirrored.failed_readings);
        raise(
            &self.possibly_doubled_uploads,
            mirrored.possibly_doubled_uploads,
        );
        raise(&self.passes, mirrored.passes);
    }

    fn show_disk(&self, mirrored: &Mirrored) {
        let free = mirrored.disk_free_bytes.map(|bytes| bytes as f64);
        self.disk_free.set(known(free));
        let until_full = mirrored.disk_until_full_seconds;
        // Where nobody knows what is free, nobody knows that it does not shrink.
        let until_full = free.map(|_| until_full.unwrap_or(f64::INFINITY));
        self.disk_until_full.set(known(until_full));
        self.disk_full.set(i64::from(mirrored.disk_is_full));
    }

    fn show_client_system(&self, mirrored: &Mirrored) {
        self.client_system_connected
            .set(i64::from(mirrored.client_system_connected));
        self.client_system_changed
            .set(known(mirrored.client_system_changed_at));
        self.client_system_failures
            .set(i64::from(mirrored.client_system_failures));
        self.heartbeat_success
            .set(known(mirrored.heartbeat_success_at));
        self.heartbeat_failures
            .set(i64::from(mirrored.heartbeat_failures));
    }
}

/// No comparison with NaN holds, so that nothing alerts of what nobody knows.
fn known(value: Option<f64>) -> f64 {
    value.unwrap_or(f64::NAN)
}

fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn raise(counter: &IntCounter, total: u64) {
    counter.inc_by(total.saturating_sub(counter.get()));
}
