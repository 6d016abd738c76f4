//! Draining a queue with each kind of compression, beside the physical limit.

use std::time::Duration;

use crate::{
    Bench,
    bodies::{self, Form},
    draining::{self, Plan},
    engines::Engine,
    figures::Figures,
    limit::{self, MODES},
    table::{Table, columns, grouped, moved},
};

/// What the service does when nobody has decided.
const DEFAULT: &str = "default";
/// The other values of `upload_compression`.
const COMPRESSIONS: [&str; 4] = ["gzip", "gzip-fast", "zstd", "none"];

/// The limits by the names of their modes.
type Limits = Vec<(&'static str, Figures)>;

pub fn tables(bench: &Bench, engines: &mut [Box<dyn Engine>]) -> Vec<Table> {
    let limits = limits(bench);
    let count = grouped(bench.arguments.readings as f64);
    let mut limit = Table::new(
        format!("The physical limit: {count} readings, serialised beforehand, over one connection"),
        &columns("compression"),
    );
    for (name, figures) in &limits {
        let mut cells = moved(figures);
        cells.push("1.00".to_owned());
        limit.row(name, cells);
    }
    let mut drains = Table::new(
        format!("Draining a queue of {count} readings, by compression"),
        &columns("queue, compression"),
    );
    for engine in engines {
        for compression in [DEFAULT].iter().chain(&COMPRESSIONS) {
            row(bench, engine.as_mut(), compression, &limits, &mut drains);
        }
    }
    vec![limit, drains]
}

fn limits(bench: &Bench) -> Limits {
    let count = bench.arguments.readings;
    let file = bodies::write(bench.folder.path(), "uploads", Form::Upload, count);
    MODES
        .iter()
        .map(|mode| {
            eprintln!("limit, {}", mode.name);
            let runs: Vec<Figures> = (0..bench.arguments.runs)
                .map(|_| limit::run(mode, &file, count))
                .collect();
            (mode.name, Figures::medians(&runs))
        })
        .collect()
}

fn row(
    bench: &Bench,
    engine: &mut dyn Engine,
    compression: &str,
    limits: &Limits,
    table: &mut Table,
) {
    let what = format!("{}, {compression}", engine.name());
    let mut settings = Vec::new();
    if compression != DEFAULT {
        settings.push(("upload_compression", format!("\"{compression}\"")));
    }
    let plan = Plan {
        readings: bench.arguments.readings,
        latency: Duration::ZERO,
        settings: &settings,
    };
    match draining::repeat(bench, engine, &plan, &format!("drain, {what}")) {
        Ok((figures, encoding)) => {
            let mut cells = moved(&figures);
            cells.push(ratio(&figures, compression, &encoding, limits));
            table.row(&what, cells);
        }
        Err(refusal) => table.refusal(&what, &refusal.0),
    }
}

/// Compared with the limit that compresses as the service did, and with its name.
fn ratio(figures: &Figures, compression: &str, encoding: &str, limits: &Limits) -> String {
    let counterpart = match (encoding, compression) {
        ("gzip", "gzip-fast") => "gzip 1",
        ("gzip", _) => "gzip 6",
        ("zstd", _) => "zstd 1",
        _ => "plain",
    };
    let limit = limits.iter().find(|(name, _)| *name == counterpart);
    let limit = limit.map_or(f64::NAN, |(_, limit)| limit.cpu_per_million());
    format!("{:.2} ({counterpart})", figures.cpu_per_million() / limit)
}
