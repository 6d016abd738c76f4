//! Draining a queue with each kind of compression, beside the physical limit.

use crate::{
    Bench,
    draining::{self, Plan},
    engines::Engine,
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

pub fn tables(bench: &Bench, engines: &mut [Box<dyn Engine>]) -> Vec<Table> {
    let count = grouped(bench.arguments.readings as f64);
    let mut limit = Table::new(
        format!("The physical limit: {count} readings, serialised beforehand, over one connection"),
        &columns("compression"),
    );
    for (name, figures) in bench.limits().iter() {
        limit.row(name, moved(figures, "1.00".to_owned()));
    }
    let mut drains = Table::new(
        format!("Draining a queue of {count} readings, by compression"),
        &columns("queue, compression"),
    );
    for engine in engines {
        for compression in &COMPRESSIONS {
            row(bench, engine.as_mut(), compression, &mut drains);
        }
    }
    vec![limit, drains]
}

fn row(bench: &Bench, engine: &mut dyn Engine, compression: &Compression, table: &mut Table) {
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
            let limits = bench.limits();
            let ratio = limits.ratio_of_drain(&figures, compression.name, &encoding);
            table.row(&what, moved(&figures, ratio));
        }
        Err(refusal) => table.refusal(&what, &refusal.0),
    }
}
