//! `completions`: a script that completes the commands and arguments in a shell.

use std::process::ExitCode;

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{Cli, client, exit::Exit};

const PROGRAM: &str = "meterit-sync";

#[derive(Debug, Args)]
pub(super) struct CompletionsArguments {
    /// The shell
    shell: Shell,
}

/// Prints the script.
pub(super) fn execute(arguments: &CompletionsArguments) -> ExitCode {
    client::ended(client::print(&script(arguments.shell)).map(|_| Exit::Done))
}

fn script(shell: Shell) -> String {
    // Not straight to standard output: nobody may be reading there any more, and the generator would panic.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), PROGRAM, &mut script);
    let script = String::from_utf8_lossy(&script);
    // For bash, clap_complete 4.6 writes a program's hyphen in two ways, so that nothing behind a subcommand is completed
    // (known upstream). Once it no longer does, there is nothing to replace here.
    script.replace("meterit__subcmd__sync", "meterit__sync")
}
