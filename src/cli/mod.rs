//! The commands, and what their exit codes mean: 0 done, 1 failed while running, 2 wrong settings or arguments; those on
//! a running service have more of them.

mod check_config;
mod client;
mod completions;
mod demo;
mod diagnose;
mod duration;
mod exit;
mod import;
mod mcp;
mod migrate;
mod packaged;
mod reading_again;
mod run;
mod simulate;
mod soak;
mod vital_signs;

use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

use clap::{Parser, Subcommand};

use crate::settings::{LoadOptions, Loaded, Settings, SettingsError};

/// Exit code of a failure that starting again cannot mend, as for wrong settings.
const NEEDS_A_PERSON: u8 = exit::Exit::NeedsAPerson as u8;

/// Uploads meter readings from a site's local database to the Client System.
#[derive(Debug, Parser)]
#[command(version)]
pub struct Cli {
    /// A settings file in TOML that goes over the built-in settings and under environment variables
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,

    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the service (also without any command)
    Run(run::RunArguments),
    /// Print the effective settings and where each value came from, secrets redacted
    CheckConfig,
    /// Bring the Sync Database to the shape that this version needs, also while services run on PostgreSQL
    Migrate(migrate::MigrateArguments),
    /// Move the queue of a site that outgrows SQLite into PostgreSQL; may be interrupted and run again
    Import(import::ImportArguments),
    /// Find out why nothing is uploaded, and pack everything that whoever helps needs into one archive
    ///
    /// Tries the way to the Client System step by step (name, connection, proxy, TLS, health, API key, clocks), asks the
    /// service for its status if it runs, looks at the queue without touching it, and says what is wrong, what it means and
    /// what to do. It reads the settings as the service does: give it the same --config and environment.
    ///
    /// The archive holds all of this with the settings and the end of the log (of the unit meterit-sync), and neither keys
    /// nor passwords. Two of the calls that the Client System allows are spent; none while it wants to be left alone.
    #[command(after_long_help = exit::Exit::help())]
    Diagnose(diagnose::DiagnoseArguments),
    /// Let an assistant (MCP over standard input and output) talk to the running service
    Mcp(mcp::McpArguments),
    /// Show everything at work: meters, the service and a Client System, all on this machine
    Demo(demo::DemoArguments),
    /// Pretend to be a part of the world around the service
    #[command(subcommand)]
    Simulate(simulate::Simulation),
    /// Attack a running service with cut connections, kills and panics, and account for every reading
    Soak(soak::SoakArguments),
    #[command(flatten)]
    Service(client::ServiceCommand),
    /// Print a script that completes commands and arguments in a shell
    ///
    /// For bash, for instance: meterit-sync completions bash > /etc/bash_completion.d/meterit-sync
    Completions(completions::CompletionsArguments),
}

impl Cli {
    /// Executes the chosen command and says how it ended.
    pub fn execute(self) -> ExitCode {
        let command = self
            .command
            .unwrap_or_else(|| Command::Run(run::RunArguments::default()));
        match command {
            Command::Run(arguments) => {
                with_settings(Settings::load, "run", self.config.clone(), |loaded| {
                    run::execute(&arguments, self.config, loaded)
                })
            }
            Command::CheckConfig => with_settings(
                Settings::load,
                "check-config",
                self.config,
                check_config::execute,
            ),
            Command::Migrate(arguments) => {
                with_settings(Settings::load_database, "migrate", self.config, |loaded| {
                    migrate::execute(&arguments, loaded)
                })
            }
            Command::Import(arguments) => import::execute(&arguments),
            Command::Diagnose(arguments) => diagnose::execute(&arguments, self.config),
            Command::Mcp(arguments) => mcp::execute(&arguments, self.config),
            Command::Demo(arguments) => demo::execute(&arguments),
            Command::Simulate(simulation) => simulate::execute(simulation),
            Command::Soak(arguments) => soak::execute(&arguments),
            Command::Service(command) => command.execute(self.config),
            Command::Completions(arguments) => completions::execute(&arguments),
        }
    }
}

/// Loads the settings for a command that needs them; without usable settings it ends with exit code 2.
fn with_settings<S>(
    load: impl FnOnce(&LoadOptions) -> Result<Loaded<S>, SettingsError>,
    name: &str,
    config_file: Option<PathBuf>,
    command: impl FnOnce(Loaded<S>) -> ExitCode,
) -> ExitCode {
    match load(&LoadOptions::from_process(config_file)) {
        Ok(loaded) => command(loaded),
        Err(error) => {
            eprintln!("meterit-sync: nothing was started, for {error}");
            // The service itself is started by systemd there.
            if let Some(hint) = packaged::hint(&error, name).filter(|_| name != "run") {
                eprintln!("{hint}");
            }
            ExitCode::from(NEEDS_A_PERSON)
        }
    }
}

/// Prints to standard output, where perhaps nobody reads any more: the exit code tells the outcome as well.
fn say(text: &str) {
    let _ = io::stdout().write_all(text.as_bytes());
}

/// Says what went wrong and ends with exit code 1.
fn failed(what: impl std::fmt::Display) -> ExitCode {
    eprintln!("meterit-sync: {what}");
    ExitCode::FAILURE
}
