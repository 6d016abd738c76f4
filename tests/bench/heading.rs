//! When, where and with what the figures were taken.

use std::{fs, process::Command, thread};

use meterit_sync::clock::Clock;

use crate::{arguments::Arguments, engines::Engine};

/// One line in Markdown.
pub fn heading(arguments: &Arguments, engines: &[Box<dyn Engine>]) -> String {
    let date = Clock::system().now().format("%Y-%m-%d");
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let engines: Vec<String> = engines.iter().map(|engine| engine.name()).collect();
    format!(
        "{date}, {cores} cores ({}), {}, {}; {}",
        processor().unwrap_or_else(|| "unknown processor".to_owned()),
        version(arguments),
        engines.join(", "),
        match arguments.runs {
            1 => "one run".to_owned(),
            runs => format!("medians of {runs} runs, but for idling, which is one"),
        }
    )
}

fn processor() -> Option<String> {
    let told = fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = told.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn version(arguments: &Arguments) -> String {
    let program = &arguments.program;
    let output = Command::new(program).arg("--version").output();
    let output = output.unwrap_or_else(|error| panic!("{}: {error}", program.display()));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
