//! Draining over links on which an answer takes its time, one request at a time and as many as the service likes.

use std::time::Duration;

use super::add_drain;
use crate::{
    Bench,
    draining::Plan,
    engines::Engine,
    table::{Table, columns},
};

/// Milliseconds before an answer, and what is drained then: one request at a time, and several.
const LINKS: [(u64, usize, usize); 3] = [
    (0, 1_000_000, 1_000_000),
    (50, 200_000, 1_000_000),
    (600, 20_000, 200_000),
];

pub fn table(bench: &Bench, engines: &mut [Box<dyn Engine>]) -> Table {
    let mut table = Table::new(
        "Draining over slow links".to_owned(),
        &columns("queue, latency, requests in flight"),
    );
    for engine in engines {
        for (milliseconds, few, many) in LINKS {
            let one = [("max_in_flight", "1".to_owned())];
            let mut row = |in_flight: &str, settings: &[_], readings| {
                let what = format!("{}, {milliseconds} ms, {in_flight}", engine.name());
                let plan = Plan {
                    readings,
                    latency: Duration::from_millis(milliseconds),
                    settings,
                    ..Plan::default()
                };
                add_drain(&mut table, "latency", &what, bench, engine.as_mut(), &plan)
            };
            // Without that setting there is one request at a time anyway.
            let is_known = row("MAX_IN_FLIGHT=1", &one, few);
            row("default", &[], if is_known { many } else { few });
        }
    }
    table
}
