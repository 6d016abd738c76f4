//! Draining a queue to which another program adds meanwhile: whatever was read before may have changed by each of its commits.

use std::time::Duration;

use super::add_drain;
use crate::{
    Bench,
    draining::Plan,
    engines::Engine,
    table::{Table, columns, grouped},
};

/// Commits of the other program in a second.
const RATES: [u32; 3] = [1, 10, 50];

pub fn table(bench: &Bench, engines: &mut [Box<dyn Engine>]) -> Table {
    let count = grouped(bench.arguments.readings as f64);
    let mut table = Table::new(
        format!("Draining {count} readings while another program adds some"),
        &columns("queue, its commits a second"),
    );
    for engine in engines {
        for rate in RATES {
            let what = format!("{}, {rate}", engine.name());
            let plan = Plan {
                readings: bench.arguments.readings,
                accept_encoding: "zstd, gzip",
                neighbour_every: Some(Duration::from_secs(1) / rate),
                ..Plan::default()
            };
            add_drain(
                &mut table,
                "neighbours",
                &what,
                bench,
                engine.as_mut(),
                &plan,
            );
        }
    }
    table
}
