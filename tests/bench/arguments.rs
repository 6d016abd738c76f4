//! The arguments, as a person types them.

use std::path::PathBuf;

use crate::engines::EngineName;

/// What `--help` prints.
pub const HELP: &str = "\
Arguments, after `cargo bench --profile distribution --bench drain --`:
  --only PARTS       some of drain,ingestion,status,idle,scaling,latency,neighbours; else all of these. Besides,
                     instructions: those of a whole drain, counted by valgrind and compared with their bound
  --engine NAME      sqlite, postgresql or both (the default)
  --readings N       readings in a queue and in an ingestion; 1000000 unless given
  --runs N           how often each figure is taken, the median counts; 3 unless given
  --large            a queue of 10000000 readings in the scaling as well
  --program PATH     another build of meterit-sync than the one of this profile
PostgreSQL is a temporary server that `tests/postgres` starts, unless METERIT_TEST_POSTGRES_URL names one.";

/// One of the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Drain,
    Ingestion,
    Status,
    Idle,
    Scaling,
    Latency,
    Neighbours,
    Instructions,
}

const PARTS: [(&str, Part); 8] = [
    ("drain", Part::Drain),
    ("ingestion", Part::Ingestion),
    ("status", Part::Status),
    ("idle", Part::Idle),
    ("scaling", Part::Scaling),
    ("latency", Part::Latency),
    ("neighbours", Part::Neighbours),
    ("instructions", Part::Instructions),
];

impl Part {
    fn needs_to_be_named(self) -> bool {
        self == Self::Instructions
    }
}

/// What to measure.
pub struct Arguments {
    pub parts: Vec<Part>,
    pub engines: Vec<EngineName>,
    pub readings: usize,
    pub runs: usize,
    pub large: bool,
    pub program: PathBuf,
}

/// What was asked for.
pub enum Request {
    Measure(Arguments),
    Help,
}

/// Reads the arguments.
///
/// # Errors
/// In words, for whoever typed them.
pub fn parse(words: &[String]) -> Result<Request, String> {
    let mut arguments = Arguments {
        parts: PARTS
            .iter()
            .map(|(_, part)| *part)
            .filter(|part| !part.needs_to_be_named())
            .collect(),
        engines: vec![EngineName::Sqlite, EngineName::Postgresql],
        readings: 1_000_000,
        runs: 3,
        large: false,
        program: env!("CARGO_BIN_EXE_meterit-sync").into(),
    };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let mut value = || {
            let value = words.next().map(String::as_str);
            value.ok_or_else(|| format!("{word} needs a value"))
        };
        match word.as_str() {
            "--only" => arguments.parts = parts(value()?)?,
            "--engine" => arguments.engines = engines(value()?)?,
            "--readings" => arguments.readings = number(word, value()?)?,
            "--runs" => arguments.runs = number(word, value()?)?,
            "--large" => arguments.large = true,
            "--program" => arguments.program = program(value()?)?,
            "--help" | "-h" => return Ok(Request::Help),
            // Cargo says so to every benchmark.
            "--bench" => {}
            other => return Err(format!("{other} is no argument of the benchmarks")),
        }
    }
    Ok(Request::Measure(arguments))
}

fn parts(names: &str) -> Result<Vec<Part>, String> {
    names.split(',').map(part).collect()
}

fn part(name: &str) -> Result<Part, String> {
    let known = PARTS.iter().find(|(known, _)| *known == name);
    known
        .map(|(_, part)| *part)
        .ok_or_else(|| format!("--only {name}: there is no such part"))
}

fn engines(name: &str) -> Result<Vec<EngineName>, String> {
    match name {
        "sqlite" => Ok(vec![EngineName::Sqlite]),
        "postgresql" => Ok(vec![EngineName::Postgresql]),
        "both" => Ok(vec![EngineName::Sqlite, EngineName::Postgresql]),
        _ => Err(format!(
            "--engine {name}: allowed are sqlite, postgresql and both"
        )),
    }
}

/// At least one of whatever is counted.
fn number(name: &str, text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| format!("{name} {text}: a whole number from 1 on is expected"))
}

/// The service is started in folders of its own, where a relative path leads nowhere.
fn program(path: &str) -> Result<PathBuf, String> {
    PathBuf::from(path)
        .canonicalize()
        .map_err(|error| format!("--program {path}: {error}"))
}
