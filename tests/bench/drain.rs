//! The benchmarks: what draining, taking in, answering and idling cost, and how near a drain comes to the physical limit.
//!
//! ```sh
//! cargo bench --profile distribution --bench drain
//! cargo bench --profile distribution --bench drain -- --only drain,idle --engine sqlite --runs 1
//! ```
//!
//! `-- --help` lists the arguments. The service, the Client System, the limit and whoever asks the service are processes
//! of their own, so that each one's CPU time is its own. Progress goes to standard error, the tables (Markdown) to
//! standard output.
#![expect(
    clippy::expect_used,
    reason = "a measurement that cannot be made should end the program, with words"
)]

mod arguments;
mod asker;
mod bodies;
mod callgrind;
mod clients;
mod connection;
mod draining;
mod engines;
mod figures;
mod guard;
mod heading;
mod helper;
mod http_head;
mod limit;
mod measure;
mod readings;
mod scenarios;
mod service;
mod sink;
mod table;

use std::{
    cell::{Cell, OnceCell},
    env,
    process::ExitCode,
};

use arguments::{Arguments, Part, Request};
use engines::Engine;
use limit::Limits;

/// What all scenarios need to know.
struct Bench {
    arguments: Arguments,
    /// For databases, bodies and logs; gone at the end.
    folder: guard::Folder,
    limits: OnceCell<Limits>,
    /// Something took more than its bound allows.
    is_exceeded: Cell<bool>,
}

impl Bench {
    /// The physical limit, measured when it is first asked for.
    fn limits(&self) -> &Limits {
        self.limits.get_or_init(|| Limits::measure(self))
    }
}

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    if let Some((role, rest)) = words.split_first()
        && helper::play(role, rest)
    {
        return ExitCode::SUCCESS;
    }
    match arguments::parse(&words) {
        Ok(Request::Measure(arguments)) => return measure(arguments),
        Ok(Request::Help) => println!("{}", arguments::HELP),
        Err(mistake) => {
            eprintln!("{mistake}\n\n{}", arguments::HELP);
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}

fn measure(arguments: Arguments) -> ExitCode {
    let bench = Bench {
        folder: guard::Folder::new(),
        arguments,
        limits: OnceCell::new(),
        is_exceeded: Cell::new(false),
    };
    let mut engines: Vec<Box<dyn Engine>> = bench
        .arguments
        .engines
        .iter()
        .map(|engine| engine.open(bench.folder.path()))
        .collect();
    println!("{}", heading::heading(&bench.arguments, &engines));
    for part in &bench.arguments.parts {
        let tables = match part {
            Part::Drain => scenarios::drain::tables(&bench, &mut engines),
            Part::Ingestion => vec![scenarios::ingestion::table(&bench, &mut engines)],
            Part::Status => vec![scenarios::status::table(&bench, &mut engines)],
            Part::Idle => vec![scenarios::idle::table(&bench, &mut engines)],
            Part::Scaling => vec![scenarios::scaling::table(&bench, &mut engines)],
            Part::Neighbours => vec![scenarios::neighbours::table(&bench, &mut engines)],
            Part::Latency => vec![scenarios::latency::table(&bench, &mut engines)],
            Part::Instructions => vec![scenarios::instructions::table(&bench, &mut engines)],
        };
        for table in tables {
            print!("\n{table}");
        }
    }
    if bench.is_exceeded.get() {
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
