//! What is counted as it happens. All of it happens once for a batch or rarer, never for a reading.

use std::time::Duration;

use prometheus::{Histogram, HistogramTimer, HistogramVec, IntCounterVec, IntGauge};

use super::declare::Declare;

/// Seconds; the last bounds are those of a Client System that inserts slowly.
const UPLOAD_BUCKETS: [f64; 11] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
/// Readings; a batch has a thousand unless somebody decided otherwise.
const BATCH_BUCKETS: [f64; 11] = [
    1.0, 10.0, 50.0, 100.0, 250.0, 500.0, 1e3, 2.5e3, 5e3, 1e4, 1e5,
];
/// Seconds; a transaction is meant to stay below 0.05, and a database that hangs is given up after 45.
const DATABASE_BUCKETS: [f64; 11] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 45.0,
];

pub(super) struct Observed {
    upload_outcomes: IntCounterVec,
    upload_duration: HistogramVec,
    upload_batch: Histogram,
    database_wait: Histogram,
    database_transaction: HistogramVec,
    database_commit: Histogram,
    waiting_changes: IntGauge,
}

/// Runs until it is dropped, and counts how long that was.
#[must_use = "what is not kept is over at once"]
pub struct Timer {
    _runs: HistogramTimer,
}

impl Timer {
    fn start(histogram: &Histogram) -> Self {
        Self {
            _runs: histogram.start_timer(),
        }
    }
}

impl Observed {
    pub(super) fn declare(declare: &Declare<'_>) -> Result<Self, prometheus::Error> {
        Ok(Self {
            upload_outcomes: declare.counters(
                "upload_outcomes_total",
                "Upload requests by what became of them.",
                "class",
            )?,
            upload_duration: declare.histograms(
                "upload_duration_seconds",
                "Duration of upload requests by what became of them.",
                "class",
                &UPLOAD_BUCKETS,
            )?,
            upload_batch: declare.histogram(
                "upload_batch_readings",
                "Readings in one upload request.",
                &BATCH_BUCKETS,
            )?,
            database_wait: declare.histogram(
                "database_wait_duration_seconds",
                "Time until a transaction of ours could begin; other programs' locks are waited for.",
                &DATABASE_BUCKETS,
            )?,
            database_transaction: declare.histograms(
                "database_transaction_duration_seconds",
                "Duration of our transactions, the commit included, by what they write.",
                "kind",
                &DATABASE_BUCKETS,
            )?,
            database_commit: declare.histogram(
                "database_commit_duration_seconds",
                "Duration of our commits, until the disk has them.",
                &DATABASE_BUCKETS,
            )?,
            waiting_changes: declare.gauge(
                "database_waiting_changes",
                "Changes of the Sync Database that wait to be written.",
            )?,
        })
    }

    pub(super) fn upload(&self, class: &str, readings: usize, took: Duration) {
        self.upload_outcomes.with_label_values(&[class]).inc();
        self.upload_duration
            .with_label_values(&[class])
            .observe(took.as_secs_f64());
        self.upload_batch.observe(readings as f64);
    }

    pub(super) fn time_wait(&self) -> Timer {
        Timer::start(&self.database_wait)
    }

    pub(super) fn time_transaction(&self, kind: &str) -> Timer {
        Timer::start(&self.database_transaction.with_label_values(&[kind]))
    }

    pub(super) fn time_commit(&self) -> Timer {
        Timer::start(&self.database_commit)
    }

    pub(super) fn waiting_changes(&self, changes: usize) {
        self.waiting_changes
            .set(i64::try_from(changes).unwrap_or(i64::MAX));
    }
}
