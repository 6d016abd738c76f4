//! The physical limit: the same readings, serialised beforehand, compressed and sent over one keep-alive connection, with
//! no database and no care.

use std::{io::Write, path::Path, process, time::Duration};

use flate2::{Compression, write::GzEncoder};
use meterit_sync::clock::Clock;
use serde_json::json;

use crate::{
    Bench,
    bodies::{self, Bodies, Form},
    connection::Connection,
    figures::Figures,
    helper::{Helper, argument},
    measure,
    sink::{Sink, UPLOAD},
};

/// How the bodies are compressed: a name, and how the service would send the same.
struct Mode {
    name: &'static str,
    encoding: &'static str,
}

/// All modes: those by which others are known, and the levels of the service.
const MODES: [Mode; 5] = [
    mode("plain", ""),
    mode("gzip 1", "gzip"),
    mode("gzip 4", "gzip"),
    mode("gzip 6", "gzip"),
    mode("zstd 1", "zstd"),
];

const fn mode(name: &'static str, encoding: &'static str) -> Mode {
    Mode { name, encoding }
}

/// What each mode takes, on this machine and now.
pub struct Limits(Vec<(&'static str, Figures)>);

impl Limits {
    /// Medians of as many runs as the arguments say.
    pub fn measure(bench: &Bench) -> Self {
        let count = bench.arguments.readings;
        let file = bodies::write(bench.folder.path(), "uploads", Form::Upload, count);
        let limit = |mode: &Mode| {
            eprintln!("limit, {}", mode.name);
            let runs: Vec<Figures> = (0..bench.arguments.runs)
                .map(|_| run(mode, &file, count))
                .collect();
            (mode.name, Figures::medians(&runs))
        };
        Self(MODES.iter().map(limit).collect())
    }

    /// Each mode and what it takes.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &Figures)> {
        self.0.iter().map(|(name, figures)| (*name, figures))
    }

    /// Compared with bodies that are not compressed.
    pub fn ratio_to_plain(&self, figures: &Figures) -> String {
        self.ratio(figures, "plain")
    }

    /// Compared with the mode that compresses as the service did: in this encoding, and as quickly as this setting says. And
    /// with the one that does not compress.
    pub fn ratio_of_drain(&self, figures: &Figures, setting: &str, encoding: &str) -> String {
        let counterpart = match (encoding, setting) {
            ("gzip", "gzip-fast") => "gzip 1",
            ("gzip", _) => "gzip 4",
            ("zstd", _) => "zstd 1",
            _ => return self.ratio_to_plain(figures),
        };
        let ratio = self.ratio(figures, counterpart);
        format!("{ratio}, {}", self.ratio_to_plain(figures))
    }

    fn ratio(&self, figures: &Figures, counterpart: &str) -> String {
        let limit = self.iter().find(|(name, _)| *name == counterpart);
        let limit = limit.map_or(f64::NAN, |(_, limit)| limit.cpu_per_million());
        format!("{:.2} ({counterpart})", figures.cpu_per_million() / limit)
    }
}

/// Sends the bodies of a file, which hold the first `count` readings, to a sink of its own.
fn run(mode: &Mode, bodies: &Path, count: usize) -> Figures {
    let sink = Sink::start(Duration::ZERO);
    let port = sink.port().to_string();
    let bodies = bodies.display().to_string();
    let mut process = Helper::start("limit", &[mode.name, mode.encoding, &port, &bodies]);
    let report = process.report();
    let number = |name: &str| report[name].as_f64().unwrap_or(f64::NAN);
    Figures {
        readings: count,
        cpu: number("cpu"),
        server_cpu: None,
        wall: number("wall"),
        peak_memory: number("peak_memory"),
        bytes: sink.check(count).bytes as f64,
    }
}

/// The role: sends everything, and reports what it took.
pub fn push(arguments: &[String]) {
    let mode = argument(arguments, 0, "a mode");
    let encoding = argument(arguments, 1, "an encoding");
    let port = argument(arguments, 2, "a port").parse().expect("a port");
    let mut bodies = Bodies::open(argument(arguments, 3, "a file of bodies"));
    let mut headers = "content-type: application/json\r\nx-api-key: bench\r\n".to_owned();
    if !encoding.is_empty() {
        headers += &format!("content-encoding: {encoding}\r\n");
    }
    let mut pack = packer(mode);
    let (mut body, mut packed) = (Vec::new(), Vec::new());
    let clock = Clock::system();
    let mut connection = Connection::open(port).expect("a sink");
    while bodies.next(&mut body) {
        pack(&body, &mut packed);
        let answer = connection.exchange("POST", UPLOAD, &headers, &packed);
        assert_eq!(answer.expect("an answer of the sink").status, 200);
    }
    let report = json!({
        "wall": clock.elapsed().as_secs_f64(),
        "cpu": measure::cpu_seconds(process::id()),
        "peak_memory": measure::peak_memory(process::id()),
    });
    println!("{report}");
}

type Packer = Box<dyn FnMut(&[u8], &mut Vec<u8>)>;

fn packer(mode: &str) -> Packer {
    match mode {
        "plain" => Box::new(|body, packed| {
            packed.clear();
            packed.extend_from_slice(body);
        }),
        "gzip 1" => gzip(1),
        "gzip 4" => gzip(4),
        "gzip 6" => gzip(6),
        "zstd 1" => {
            let mut compressor = zstd::bulk::Compressor::new(1).expect("a compressor");
            Box::new(move |body, packed| {
                *packed = compressor.compress(body).expect("room in memory");
            })
        }
        other => panic!("the limit does not know the mode {other}"),
    }
}

fn gzip(level: u32) -> Packer {
    Box::new(move |body, packed| {
        packed.clear();
        let mut encoder = GzEncoder::new(packed, Compression::new(level));
        // Writing into memory has no way to fail.
        let _ = encoder.write_all(body).and_then(|()| encoder.try_finish());
    })
}
