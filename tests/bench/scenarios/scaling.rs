//! Whether a long queue costs more per reading than a short one, or more memory.

use super::add_drain;
use crate::{
    Bench,
    draining::Plan,
    engines::Engine,
    table::{Table, columns, grouped},
};

const LENGTHS: [usize; 2] = [100_000, 1_000_000];
/// Takes its time and its room on the disk.
const LARGE: usize = 10_000_000;

pub fn table(bench: &Bench, engines: &mut [Box<dyn Engine>]) -> Table {
    let mut table = Table::new(
        "Draining queues of several lengths".to_owned(),
        &columns("queue, readings"),
    );
    let large = bench.arguments.large.then_some(LARGE);
    for engine in engines {
        for readings in LENGTHS.into_iter().chain(large) {
            let what = format!("{}, {}", engine.name(), grouped(readings as f64));
            let plan = Plan {
                readings,
                ..Plan::default()
            };
            add_drain(&mut table, "scaling", &what, bench, engine.as_mut(), &plan);
        }
    }
    table
}
