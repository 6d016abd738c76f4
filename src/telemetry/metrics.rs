//! Every metric of the service, declared once. Each service instance has its own; nothing is global.

use std::{
    borrow::Cow,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use prometheus::{
    Encoder, Gauge, GaugeVec, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry, TextEncoder, core::Collector,
};

/// Seconds; the last bounds are those of a Client System that inserts slowly.
const UPLOAD_BUCKETS: [f64; 11] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// The metrics of one service instance. Cheap to clone; all clones count together.
#[derive(Clone)]
pub struct Metrics(Arc<Declared>);

/// What is counted elsewhere and only shown here, as it is at one moment.
#[derive(Clone, Debug, Default)]
pub struct Mirrored {
    /// Readings that wait, those in flight included.
    pub queue_readings: u64,
    /// Readings in batches without an outcome yet.
    pub in_flight_readings: u64,
    /// Readings set aside.
    pub quarantined_readings: u64,
    /// Batches that failed in several passes and were set back.
    pub parked_batches: u64,
    /// Seconds since the oldest waiting reading came in; 0 with an empty queue.
    pub oldest_pending_age_seconds: f64,
    /// Readings that leave the queue per second.
    pub drain_rate: f64,
    /// Bytes free where the Sync Database lies.
    pub disk_free_bytes: Option<u64>,
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
    /// The service's state in a word.
    pub state: String,
    /// Each actor, whether it takes messages, and its restarts.
    pub actors: Vec<(Cow<'static, str>, bool, u64)>,
    /// Whole seconds since the process started.
    pub uptime_seconds: u64,
}

struct Declared {
    registry: Registry,
    /// Counters that mirror others are raised by their difference, by one scrape at a time.
    scrape: Mutex<()>,
    queue_readings: IntGauge,
    in_flight_readings: IntGauge,
    quarantined_readings: IntGauge,
    parked_batches: IntGauge,
    oldest_pending_age_seconds: Gauge,
    drain_rate: Gauge,
    disk_free_bytes: IntGauge,
    uploaded_readings: IntCounter,
    failed_readings: IntCounter,
    possibly_doubled_uploads: IntCounter,
    passes: IntCounter,
    client_system_connected: IntGauge,
    state: IntGaugeVec,
    actor_up: IntGaugeVec,
    actor_restarts: IntCounterVec,
    upload_outcomes: IntCounterVec,
    upload_duration: HistogramVec,
    uptime_seconds: IntGauge,
    resident_memory: IntGauge,
}

impl Metrics {
    /// The media type of [`Metrics::render`].
    pub const MEDIA_TYPE: &str = prometheus::TEXT_FORMAT;

    /// Declares all metrics.
    ///
    /// # Errors
    /// When two metrics have the same name, which no input can bring about.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let declare = Declare(&registry);
        let build_info: GaugeVec = declare.labelled(
            "build_info",
            "Always 1; the label tells the program's version.",
            "version",
            GaugeVec::new,
        )?;
        build_info
            .with_label_values(&[env!("CARGO_PKG_VERSION")])
            .set(1.0);
        let declared = Declared {
            queue_readings: declare.gauge(
                "queue_readings",
                "Readings that the Client System does not have yet.",
            )?,
            in_flight_readings: declare.gauge(
                "in_flight_readings",
                "Readings in batches that were claimed and have no outcome yet.",
            )?,
            quarantined_readings: declare.gauge("quarantined_readings", "Readings set aside.")?,
            parked_batches: declare.gauge(
                "parked_batches",
                "Batches that failed in several passes and were set back.",
            )?,
            oldest_pending_age_seconds: declare.real(
                "oldest_pending_age_seconds",
                "Seconds since the oldest waiting reading came in; 0 with an empty queue.",
            )?,
            drain_rate: declare.real(
                "drain_rate_readings_per_second",
                "Readings that leave the queue per second, averaged over the last minute, or over the last few uploads where these are further apart.",
            )?,
            disk_free_bytes: declare.gauge(
                "disk_free_bytes",
                "Bytes free where the Sync Database lies; -1 where that cannot be known.",
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
                "1 while the Client System is reachable.",
            )?,
            state: declare.labelled(
                "state",
                "1 for the state that the service is in.",
                "state",
                IntGaugeVec::new,
            )?,
            actor_up: declare.labelled(
                "actor_up",
                "1 while the actor takes messages.",
                "actor",
                IntGaugeVec::new,
            )?,
            actor_restarts: declare.labelled(
                "actor_restarts_total",
                "Restarts of the actor.",
                "actor",
                IntCounterVec::new,
            )?,
            upload_outcomes: declare.labelled(
                "upload_outcomes_total",
                "Upload requests by what became of them.",
                "class",
                IntCounterVec::new,
            )?,
            upload_duration: declare.labelled(
                "upload_duration_seconds",
                "Duration of upload requests by what became of them.",
                "class",
                |opts, labels| {
                    let opts = HistogramOpts::from(opts).buckets(UPLOAD_BUCKETS.to_vec());
                    HistogramVec::new(opts, labels)
                },
            )?,
            uptime_seconds: declare
                .gauge("uptime_seconds", "Seconds since the process started.")?,
            resident_memory: declare.gauge(
                "resident_memory_bytes",
                "Memory that the process holds; 0 where that cannot be known.",
            )?,
            scrape: Mutex::default(),
            registry,
        };
        Ok(Self(Arc::new(declared)))
    }

    /// Counts one upload request and its duration.
    pub fn observe_upload(&self, class: &str, duration: Duration) {
        self.0.upload_outcomes.with_label_values(&[class]).inc();
        self.0
            .upload_duration
            .with_label_values(&[class])
            .observe(duration.as_secs_f64());
    }

    /// All metrics in the text form of Prometheus.
    ///
    /// # Errors
    /// When a metric cannot be written as text, which no input can bring about.
    pub fn render(&self, mirrored: &Mirrored) -> Result<String, prometheus::Error> {
        let _one_at_a_time = self.0.scrape.lock().unwrap_or_else(PoisonError::into_inner);
        self.0.show(mirrored);
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.0.registry.gather(), &mut text)?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }
}

impl Declared {
    fn show(&self, mirrored: &Mirrored) {
        self.queue_readings.set(whole(mirrored.queue_readings));
        self.in_flight_readings
            .set(whole(mirrored.in_flight_readings));
        self.quarantined_readings
            .set(whole(mirrored.quarantined_readings));
        self.parked_batches.set(whole(mirrored.parked_batches));
        self.oldest_pending_age_seconds
            .set(mirrored.oldest_pending_age_seconds);
        self.drain_rate.set(mirrored.drain_rate);
        self.disk_free_bytes
            .set(mirrored.disk_free_bytes.map_or(-1, whole));
        raise(&self.uploaded_readings, mirrored.uploaded_readings);
        raise(&self.failed_readings, mirrored.failed_readings);
        raise(
            &self.possibly_doubled_uploads,
            mirrored.possibly_doubled_uploads,
        );
        raise(&self.passes, mirrored.passes);
        self.client_system_connected
            .set(i64::from(mirrored.client_system_connected));
        self.state.reset();
        self.state.with_label_values(&[&mirrored.state]).set(1);
        for (name, up, restarts) in &mirrored.actors {
            self.actor_up.with_label_values(&[name]).set(i64::from(*up));
            raise(&self.actor_restarts.with_label_values(&[name]), *restarts);
        }
        self.uptime_seconds.set(whole(mirrored.uptime_seconds));
        self.resident_memory.set(resident_memory().map_or(0, whole));
    }
}

fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn raise(counter: &IntCounter, total: u64) {
    counter.inc_by(total.saturating_sub(counter.get()));
}

/// Bytes that the process holds in memory, as Linux tells it.
fn resident_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    let kibibytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kibibytes * 1024)
}

struct Declare<'a>(&'a Registry);

impl Declare<'_> {
    fn gauge(&self, name: &str, help: &str) -> Result<IntGauge, prometheus::Error> {
        self.register(IntGauge::with_opts(opts(name, help))?)
    }

    fn real(&self, name: &str, help: &str) -> Result<Gauge, prometheus::Error> {
        self.register(Gauge::with_opts(opts(name, help))?)
    }

    fn counter(&self, name: &str, help: &str) -> Result<IntCounter, prometheus::Error> {
        self.register(IntCounter::with_opts(opts(name, help))?)
    }

    fn labelled<C: Collector + Clone + 'static>(
        &self,
        name: &str,
        help: &str,
        label: &str,
        new: impl FnOnce(Opts, &[&str]) -> Result<C, prometheus::Error>,
    ) -> Result<C, prometheus::Error> {
        self.register(new(opts(name, help), &[label])?)
    }

    fn register<C: Collector + Clone + 'static>(&self, metric: C) -> Result<C, prometheus::Error> {
        self.0.register(Box::new(metric.clone()))?;
        Ok(metric)
    }
}

fn opts(name: &str, help: &str) -> Opts {
    Opts::new(name, help).namespace("meterit_sync")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_follow_what_they_mirror_and_never_fall() {
        let metrics = Metrics::new().expect("declared");
        metrics.observe_upload("stored", Duration::from_millis(30));
        let mut mirrored = Mirrored {
            uploaded_readings: 5,
            state: "syncing".into(),
            actors: vec![("heartbeat".into(), true, 2)],
            ..Mirrored::default()
        };
        metrics.render(&mirrored).expect("text");
        mirrored.state = "ok".into();
        let text = metrics.render(&mirrored).expect("text");
        for line in [
            "meterit_sync_uploaded_readings_total 5",
            "meterit_sync_actor_restarts_total{actor=\"heartbeat\"} 2",
            "meterit_sync_actor_up{actor=\"heartbeat\"} 1",
            "meterit_sync_state{state=\"ok\"} 1",
            "meterit_sync_upload_outcomes_total{class=\"stored\"} 1",
            "meterit_sync_upload_duration_seconds_bucket{class=\"stored\",le=\"0.05\"} 1",
            "meterit_sync_disk_free_bytes -1",
            concat!(
                "meterit_sync_build_info{version=\"",
                env!("CARGO_PKG_VERSION"),
                "\"} 1"
            ),
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
        assert!(!text.contains("state=\"syncing\""));
        mirrored.uploaded_readings = 3;
        let text = metrics.render(&mirrored).expect("text");
        assert!(text.contains("meterit_sync_uploaded_readings_total 5"));
    }
}
