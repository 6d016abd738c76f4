//! `check-config`: prints the effective settings and where each value came from.

use std::io::{ErrorKind, Write};
use std::process::ExitCode;

use crate::settings::Loaded;

/// Prints the table to standard output and warnings to standard error.
pub(super) fn execute(loaded: Loaded) -> ExitCode {
    for warning in &loaded.report.warnings {
        eprintln!("meterit-sync: warning: {warning}");
    }
    match write!(std::io::stdout(), "{}", loaded.report) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever reads through a pipe may stop when it has seen enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!(
                "meterit-sync: the settings are fine, but they could not be printed ({error}); check where the output goes"
            );
            ExitCode::FAILURE
        }
    }
}
