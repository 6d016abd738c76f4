//! Somebody who asks `/status` a hundred times a second, and notes how long each answer takes.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use meterit_sync::clock::Clock;
use serde_json::json;

use crate::{
    connection::Connection,
    helper::{self, Helper, argument},
};

const BETWEEN_QUESTIONS: Duration = Duration::from_millis(10);

/// Milliseconds from when a question was due to the end of its answer: what came late because the one before it took long
/// counts as well.
pub struct Latencies {
    pub questions: u64,
    pub median: f64,
    pub percentile_99: f64,
    pub longest: f64,
}

/// An asker as a process of its own.
pub struct Asker(Helper);

impl Asker {
    pub fn start(port: u16) -> Self {
        Self(Helper::start("asker", &[&port.to_string()]))
    }

    /// Ends the asking.
    pub fn stop(mut self) -> Latencies {
        self.0.enough();
        let report = self.0.report();
        let number = |name: &str| report[name].as_f64().unwrap_or(f64::NAN);
        Latencies {
            questions: report["questions"].as_u64().unwrap_or(0),
            median: number("median"),
            percentile_99: number("percentile_99"),
            longest: number("longest"),
        }
    }
}

static ENOUGH: AtomicBool = AtomicBool::new(false);

/// The role: asks until whoever started it has had enough, and reports.
pub fn ask(arguments: &[String]) {
    let port = argument(arguments, 0, "a port").parse().expect("a port");
    let mut connection = Connection::open(port).expect("a service");
    thread::spawn(|| {
        helper::wait_for_the_end();
        ENOUGH.store(true, Ordering::Relaxed);
    });
    let clock = Clock::system();
    let mut took = Vec::new();
    let mut due = Duration::ZERO;
    while !ENOUGH.load(Ordering::Relaxed) {
        thread::sleep(due.saturating_sub(clock.elapsed()));
        let answer = connection.get("/status").expect("an answer of the service");
        assert_eq!(answer.status, 200);
        took.push((clock.elapsed() - due).as_secs_f64() * 1000.0);
        due += BETWEEN_QUESTIONS;
    }
    took.sort_by(f64::total_cmp);
    let at = |share: f64| took[((took.len() - 1) as f64 * share).round() as usize];
    let report = json!({
        "questions": took.len(),
        "median": at(0.5),
        "percentile_99": at(0.99),
        "longest": at(1.0),
    });
    println!("{report}");
}
