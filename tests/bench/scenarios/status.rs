//! How long `/status` takes while a queue is drained as fast as it can be.

use crate::{
    Bench,
    asker::{Asker, Latencies},
    draining::{self, Plan},
    engines::Engine,
    figures::median,
    table::{Table, grouped},
};

pub fn table(bench: &Bench, engines: &mut [Box<dyn Engine>]) -> Table {
    let count = bench.arguments.readings;
    let mut table = Table::new(
        format!(
            "/status, asked 100 times a second while {} readings are drained",
            grouped(count as f64)
        ),
        &["queue", "answers", "p50 ms", "p99 ms", "longest ms"],
    );
    for engine in engines {
        let runs: Vec<Latencies> = (1..=bench.arguments.runs)
            .map(|run| ask(bench, engine.as_mut(), run))
            .collect();
        let of = |figure: fn(&Latencies) -> f64| median(runs.iter().map(figure).collect());
        table.row(
            &engine.name(),
            [
                grouped(of(|run| run.questions as f64)),
                format!("{:.2}", of(|run| run.median)),
                format!("{:.2}", of(|run| run.percentile_99)),
                format!("{:.2}", of(|run| run.longest)),
            ],
        );
    }
    table
}

fn ask(bench: &Bench, engine: &mut dyn Engine, run: usize) -> Latencies {
    let plan = Plan {
        readings: bench.arguments.readings,
        ..Plan::default()
    };
    let Ok(ready) = draining::prepare(bench, engine, &plan) else {
        panic!("the service refuses settings that nobody has made");
    };
    let asker = Asker::start(ready.service.port());
    ready.drain();
    let latencies = asker.stop();
    eprintln!(
        "status, {}: run {run} of {}: p99 {:.2} ms",
        engine.name(),
        bench.arguments.runs,
        latencies.percentile_99
    );
    latencies
}
