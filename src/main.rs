//! Parses arguments and hands over.

use std::process::ExitCode;

use clap::Parser;
use meterit_sync::cli::Cli;

fn main() -> ExitCode {
    Cli::parse().execute()
}
