//! Every metric of the service, declared once. Each service instance has its own; nothing is global.
//!
//! Names follow the conventions of Prometheus: base units, and `_total` at the end of what only grows. No label has more
//! values than this program knows.

mod declare;
mod mirrored;
mod observed;
mod process;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use prometheus::{Encoder, Registry, TextEncoder};

use self::{declare::Declare, mirrored::Mirrors, observed::Observed, process::ProcessMetrics};
pub use self::{
    mirrored::{Mirrored, MirroredActor},
    observed::Timer,
};

/// The metrics of one service instance. Cheap to clone; all clones count together.
#[derive(Clone)]
pub struct Metrics(Arc<Declared>);

struct Declared {
    registry: Registry,
    /// Counters that mirror others are raised by their difference, by one scrape at a time.
    scrape: Mutex<()>,
    observed: Observed,
    mirrors: Mirrors,
    /// None where the kernel does not tell.
    process: Option<ProcessMetrics>,
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
        declare
            .gauges(
                "build_info",
                "Always 1; the label tells the program's version.",
                &["version"],
            )?
            .with_label_values(&[env!("CARGO_PKG_VERSION")])
            .set(1);
        let declared = Declared {
            observed: Observed::declare(&declare)?,
            mirrors: Mirrors::declare(&declare)?,
            process: ProcessMetrics::declare(&registry)?,
            scrape: Mutex::default(),
            registry,
        };
        Ok(Self(Arc::new(declared)))
    }

    /// Counts one upload request of so many readings: its class, and how long it took.
    pub fn observe_upload(&self, class: &str, readings: usize, took: Duration) {
        self.0.observed.upload(class, readings, took);
    }

    /// Begins to time the wait for a transaction.
    pub fn time_database_wait(&self) -> Timer {
        self.0.observed.time_wait()
    }

    /// Begins to time a transaction that writes things of this kind.
    pub fn time_transaction(&self, kind: &str) -> Timer {
        self.0.observed.time_transaction(kind)
    }

    /// Begins to time a commit.
    pub fn time_commit(&self) -> Timer {
        self.0.observed.time_commit()
    }

    /// Notes how many changes wait to be written.
    pub fn note_waiting_changes(&self, changes: usize) {
        self.0.observed.waiting_changes(changes);
    }

    /// All metrics in the text form of Prometheus.
    ///
    /// # Errors
    /// When a metric cannot be written as text, which no input can bring about.
    pub fn render(&self, mirrored: &Mirrored) -> Result<String, prometheus::Error> {
        let _one_at_a_time = self.0.scrape.lock().unwrap_or_else(PoisonError::into_inner);
        self.0.mirrors.show(mirrored);
        if let Some(process) = &self.0.process {
            process.show();
        }
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.0.registry.gather(), &mut text)?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_tells(text: &str, lines: &[&str]) {
        for line in lines {
            assert!(text.lines().any(|found| found == *line), "{line}\n{text}");
        }
    }

    #[test]
    fn counters_follow_what_they_mirror_and_never_fall() {
        let metrics = Metrics::new().expect("declared");
        let actor = MirroredActor {
            name: "heartbeat".into(),
            is_up: true,
            restarts: 2,
            work_in_hand: 1,
        };
        let mut mirrored = Mirrored {
            uploaded_readings: 5,
            states: vec![("ok".into(), false), ("syncing".into(), true)],
            actors: vec![actor],
            ..Mirrored::default()
        };
        metrics.render(&mirrored).expect("text");
        mirrored.states = vec![("ok".into(), true), ("syncing".into(), false)];
        let text = metrics.render(&mirrored).expect("text");
        let version = env!("CARGO_PKG_VERSION");
        assert_tells(
            &text,
            &[
                "meterit_sync_uploaded_readings_total 5",
                "meterit_sync_actor_restarts_total{actor=\"heartbeat\"} 2",
                "meterit_sync_actor_up{actor=\"heartbeat\"} 1",
                "meterit_sync_actor_work_in_hand{actor=\"heartbeat\"} 1",
                "meterit_sync_state{state=\"ok\"} 1",
                "meterit_sync_state{state=\"syncing\"} 0",
                &format!("meterit_sync_build_info{{version=\"{version}\"}} 1"),
            ],
        );
        mirrored.uploaded_readings = 3;
        let text = metrics.render(&mirrored).expect("text");
        assert_tells(&text, &["meterit_sync_uploaded_readings_total 5"]);
    }

    #[test]
    fn what_happens_is_counted_when_it_is_over() {
        let metrics = Metrics::new().expect("declared");
        metrics.observe_upload("stored", 700, Duration::from_millis(30));
        metrics.note_waiting_changes(3);
        let transaction = metrics.time_transaction("claim");
        let commit = metrics.time_commit();
        drop(commit);
        let text = metrics.render(&Mirrored::default()).expect("text");
        assert_tells(
            &text,
            &[
                "meterit_sync_upload_outcomes_total{class=\"stored\"} 1",
                "meterit_sync_upload_duration_seconds_bucket{class=\"stored\",le=\"0.05\"} 1",
                "meterit_sync_upload_batch_readings_bucket{le=\"500\"} 0",
                "meterit_sync_upload_batch_readings_bucket{le=\"1000\"} 1",
                "meterit_sync_database_waiting_changes 3",
                "meterit_sync_database_commit_duration_seconds_count 1",
                "meterit_sync_database_transaction_duration_seconds_count{kind=\"claim\"} 0",
            ],
        );
        drop(transaction);
        let text = metrics.render(&Mirrored::default()).expect("text");
        assert_tells(
            &text,
            &["meterit_sync_database_transaction_duration_seconds_count{kind=\"claim\"} 1"],
        );
    }

    #[test]
    fn what_nobody_knows_is_no_number() {
        let metrics = Metrics::new().expect("declared");
        let mut mirrored = Mirrored::default();
        let text = metrics.render(&mirrored).expect("text");
        assert_tells(
            &text,
            &[
                "meterit_sync_disk_free_bytes NaN",
                "meterit_sync_disk_until_full_seconds NaN",
                "meterit_sync_heartbeat_last_success_timestamp_seconds NaN",
                "meterit_sync_oldest_pending_age_seconds NaN",
                "meterit_sync_queue_counted 0",
            ],
        );
        assert!(!text.contains("meterit_sync_queue_readings"), "{text}");
        assert!(
            !text.contains("meterit_sync_quarantined_readings"),
            "{text}"
        );
        mirrored.queue_is_counted = true;
        mirrored.queue_readings = 3;
        let text = metrics.render(&mirrored).expect("text");
        assert_tells(
            &text,
            &[
                "meterit_sync_queue_readings 3",
                "meterit_sync_quarantined_readings 0",
            ],
        );
        mirrored.queue_is_counted = false;
        let text = metrics.render(&mirrored).expect("text");
        assert!(!text.contains("meterit_sync_queue_readings"), "{text}");
        mirrored.disk_free_bytes = Some(7);
        let text = metrics.render(&mirrored).expect("text");
        assert_tells(
            &text,
            &[
                "meterit_sync_disk_free_bytes 7",
                "meterit_sync_disk_until_full_seconds inf",
            ],
        );
    }
}
