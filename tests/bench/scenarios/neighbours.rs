//! Draining a queue to which another program adds meanwhile: whatever was read before may have changed by each of its commits.

use std::time::Duration;

use crate::{
    Bench,
    draining::{self, Plan},
    engines::Engine,
    table::{Table, columns, grouped, moved},
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
            match draining::repeat(
                bench,
                engine.as_mut(),
                &plan,
                &format!("neighbours, {what}"),
            ) {
                Ok((figures, encoding)) => {
                    let ratio = bench
                        .limits()
                        .ratio_of_drain(&figures, "default", &encoding);
                    table.row(&what, moved(&figures, ratio));
                }
                Err(refusal) => table.refusal(&what, &refusal.0),
            }
        }
    }
    table
}
