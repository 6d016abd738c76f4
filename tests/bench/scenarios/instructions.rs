//! How many instructions a whole drain takes for each reading: rows read, judged, serialised, compressed, written down, sent
//! and settled, with all that the actors say to each other meanwhile.
//!
//! They are counted by valgrind's callgrind, for two queues of different lengths: the difference is what the readings take,
//! without the service's start and end. On a busy machine batches meet differently in a commit, so the tolerance is wider
//! than that of the single steps in `tests/bench/hot_path.rs`.

use crate::{
    Bench,
    callgrind::{CALLGRIND, collected},
    draining::{self, Plan},
    engines::Engine,
    service::Refusal,
    table::{Table, grouped},
};

/// Instructions for each reading, default settings; recorded with rustc 1.95 on x86-64, profile `release`.
const BOUNDS: [(&str, f64); 2] = [("SQLite", 16_317.0), ("PostgreSQL", 10_873.0)];
/// A drain may take so much more than its bound before that is a failure.
const TOLERANCE: f64 = 0.1;
const FEW: usize = 20_000;
const MANY: usize = 60_000;

pub fn table(bench: &Bench, engines: &mut [Box<dyn Engine>]) -> Table {
    let mut table = Table::new(
        "Instructions of a whole drain".to_owned(),
        &["queue", "instructions per reading", "bound", "change"],
    );
    for engine in engines {
        let name = engine.name();
        let (few, many) = (
            instructions(bench, engine.as_mut(), FEW),
            instructions(bench, engine.as_mut(), MANY),
        );
        let counted = (many - few) / (MANY - FEW) as f64;
        let bound = BOUNDS.iter().find(|(engine, _)| name.starts_with(engine));
        let bound = bound.map_or(f64::NAN, |(_, bound)| *bound);
        let change = counted / bound - 1.0;
        table.row(
            &name,
            [
                grouped(counted),
                grouped(bound),
                format!("{:+.1} %", change * 100.0),
            ],
        );
        if change > TOLERANCE {
            bench.is_exceeded.set(true);
            eprintln!(
                "a drain from {name} takes more instructions than its bound allows ({:.0} % are tolerated): find out \
                 why, or record the new number with its reason in tests/bench/scenarios/instructions.rs",
                TOLERANCE * 100.0
            );
        }
        if change < -TOLERANCE {
            eprintln!("a drain from {name}: well below its bound, which can be lowered");
        }
    }
    table
}

/// All instructions of a service that drains so many readings.
fn instructions(bench: &Bench, engine: &mut dyn Engine, readings: usize) -> f64 {
    eprintln!("instructions, {}: {readings} readings", engine.name());
    let plan = Plan {
        readings,
        under: &CALLGRIND,
        ..Plan::default()
    };
    let ready = match draining::prepare(bench, engine, &plan) {
        Ok(ready) => ready,
        Err(Refusal(why)) => panic!("the service refuses settings that nobody has made: {why}"),
    };
    ready.drain();
    collected(&ready.service.stop())
}
