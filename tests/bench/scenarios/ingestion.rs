//! Taking readings in over the local API: so many clients at once, a thousand readings in each request.

use std::{path::Path, time::Duration};

use crate::{
    Bench,
    bodies::{self, Form},
    clients,
    draining::PRODUCTION,
    engines::Engine,
    figures::Figures,
    measure,
    service::{Conditions, Service},
    sink::Sink,
    table::{Table, columns, grouped, moved},
};

/// What is sent, and what it is called.
const FORMS: [(&str, Form, &str); 2] = [
    ("JSON array", Form::Array, "application/json"),
    ("NDJSON", Form::Lines, "application/x-ndjson"),
];

pub fn table(bench: &Bench, engines: &mut [Box<dyn Engine>]) -> Table {
    let count = bench.arguments.readings;
    let mut table = Table::new(
        format!(
            "Taking in {} readings by POST /api/v1/readings, 4 clients, 1,000 readings per request",
            grouped(count as f64)
        ),
        &columns("queue, form"),
    );
    for (name, form, content_type) in FORMS {
        let file = bodies::write(bench.folder.path(), "requests", form, count);
        for engine in engines.iter_mut() {
            let what = format!("{}, {name}", engine.name());
            let runs: Vec<Figures> = (1..=bench.arguments.runs)
                .map(|run| {
                    let figures = take_in(bench, engine.as_mut(), content_type, &file);
                    eprintln!(
                        "ingestion, {what}: run {run} of {}: {:.2} s, {:.2} CPU-s per million",
                        bench.arguments.runs,
                        figures.wall,
                        figures.cpu_per_million()
                    );
                    figures
                })
                .collect();
            let figures = Figures::medians(&runs);
            let ratio = bench.limits().ratio_to_plain(&figures);
            table.row(&what, moved(&figures, ratio));
        }
    }
    table
}

fn take_in(bench: &Bench, engine: &mut dyn Engine, content_type: &str, bodies: &Path) -> Figures {
    let count = bench.arguments.readings;
    let queue = engine.empty();
    let sink = Sink::start(Duration::ZERO);
    let service = Service::start(&Conditions {
        program: &bench.arguments.program,
        under: &[],
        folder: bench.folder.path(),
        client_system: sink.address(),
        database: queue.address(),
        variables: &PRODUCTION,
        settings: &[],
    });
    let Ok(service) = service else {
        panic!("the service refuses settings that nobody has made");
    };
    let server_before = queue.server_cpu();
    let before = measure::cpu_seconds(service.id());
    let pushed = clients::run(service.port(), content_type, bodies);
    let cpu = measure::cpu_seconds(service.id()) - before;
    let server_cpu = queue.server_cpu().zip(server_before);
    assert_eq!(
        queue.count(),
        count,
        "what was accepted is not in the database\n{}",
        service.said()
    );
    Figures {
        readings: count,
        cpu,
        server_cpu: server_cpu.map(|(after, before)| after - before),
        wall: pushed.wall,
        peak_memory: measure::peak_memory(service.id()),
        bytes: pushed.bytes,
    }
}
