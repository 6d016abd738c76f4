//! Draining a queue with each kind of compression, beside the physical limit.

use crate::{
    Bench,
    bodies::{self, Form},
    draining::{self, Plan},
    engines::Engine,
    figures::Figures,
    limit::{self, MODES},
    service::Setting,
    table::{Table, columns, grouped, moved},
};

/// Values of `upload_compression`; without one, the service decides by what the Client System says it takes.
const COMPRESSIONS: [Compression; 6] = [
    compression("default", None, ""),
    compression("default, zstd is taken", None, "zstd, gzip"),
    compression("gzip", Some("gzip"), ""),
    compression("gzip-fast", Some("gzip-fast"), ""),
    compression("zstd", Some("zstd"), ""),
    compression("none", Some("none"), ""),
];

struct Compression {
    name: &'static str,
    setting: Option<&'static str>,
    accept_encoding: &'static str,
}

const fn compression(
    name: &'static str,
    setting: Option<&'static str>,
    accept_encoding: &'static str,
) -> Compression {
    Compression {
        name,
        setting,
        accept_encoding,
    }
}

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
        for compression in &COMPRESSIONS {
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
    compression: &Compression,
    limits: &Limits,
    table: &mut Table,
) {
    let what = format!("{}, {}", engine.name(), compression.name);
    let setting = compression.setting.map(|value| format!("\"{value}\""));
    let settings: Vec<Setting> = setting
        .map(|value| ("upload_compression", value))
        .into_iter()
        .collect();
    let plan = Plan {
        readings: bench.arguments.readings,
        accept_encoding: compression.accept_encoding,
        settings: &settings,
        ..Plan::default()
    };
    match draining::repeat(bench, engine, &plan, &format!("drain, {what}")) {
        Ok((figures, encoding)) => {
            let mut cells = moved(&figures);
            cells.push(ratio(&figures, compression.name, &encoding, limits));
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
