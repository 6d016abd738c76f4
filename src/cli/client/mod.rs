//! The commands on a running service: they speak HTTP with it, as any other program would.

mod address;
mod client_system;
mod event_stream;
mod events;
mod failure;
mod output;
mod problem;
mod progress;
mod quarantine;
mod quarantine_actions;
mod records;
mod service;
mod signals;
mod status;
mod sync;
mod text;
mod trust;
mod watch;

use std::{path::PathBuf, process::ExitCode, time::Duration};

use clap::{Args, Subcommand};
use serde::de::DeserializeOwned;

use self::service::{Request, Service};
pub(super) use self::{
    address::{Destination, ServiceAddress},
    failure::Failure,
    output::{note, print},
    status::{StatusAnswer, ask_status},
    text::{counted, in_lines},
};
use super::{duration, exit::Exit};

/// What may be asked of a running service.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum ServiceCommand {
    /// Tell how the service fares, beginning with its state and the reason
    ///
    /// Asks the running service for its status and prints it: the state in a word, the reason in a sentence, since when;
    /// then the queue, the uploads, the link to the Client System and the parts of the service. With --watch it goes on
    /// until interrupted: a terminal is redrawn every second, elsewhere a line is printed for every change of state or
    /// reason.
    #[command(after_long_help = Exit::help())]
    Status(status::StatusArguments),
    /// Start, stop or trigger the uploading
    #[command(subcommand)]
    Sync(sync::SyncCommand),
    /// Tell whether the Client System can be reached, or check it now
    ///
    /// Tells what the service knows of the link, without asking the Client System; `check` lets it ask now. That the Client
    /// System cannot be reached is an answer, and not a failure of the command.
    Connectivity(client_system::ConnectivityArguments),
    /// Send a heartbeat to the Client System now
    ///
    /// Asks the running service to send a heartbeat, waits for the answer, and tells how heartbeats fare.
    Heartbeat(client_system::HeartbeatArguments),
    /// Fetch the configuration that the Client System keeps for this site
    #[command(subcommand)]
    Config(client_system::ConfigCommand),
    /// Sum up the uploads of the last hours
    ///
    /// Counts the batches in the operation log of the last hours, and the readings in those that were stored.
    Stats(records::StatsArguments),
    /// Show the operation log: one row for every batch that was stored or given up, newest first
    ///
    /// One row for every batch that was stored or given up, newest first, with what went wrong.
    Log(records::LogArguments),
    /// Look at readings that were set aside; correct, re-queue or discard them
    #[command(subcommand)]
    Quarantine(quarantine::QuarantineCommand),
    /// Show readings in the Sync Database, newest first
    ///
    /// Readings that the Sync Database holds, newest first. A reading leaves it when the Client System has it, unless
    /// KEEP_SYNCHRONIZED is set.
    Readings(records::ReadingsArguments),
    /// Show the meters that the Sync Database knows
    ///
    /// The meters of the last configuration, and those before that have become inactive.
    Meters(records::MetersArguments),
    /// Follow what happens in the service, one event a line, until interrupted
    ///
    /// Changes of the link, passes that start and end, parts that were restarted, one a line from now on. With --json
    /// each line is the event as a JSON document. It ends well when it is interrupted or nobody reads any more, and with
    /// exit code 4 when the service ends the stream.
    Events(events::EventsArguments),
}

/// What every command on a running service takes.
#[derive(Clone, Debug, Args)]
struct Asking {
    #[command(flatten)]
    address: ServiceAddress,
    /// Print the service's answer as it came, one JSON document, refusals included
    #[arg(long)]
    json: bool,
    /// Give up when the whole answer takes longer, such as 20s [default: 10s; 40s where the service asks its database,
    /// 90s where it asks the Client System]
    #[arg(long, value_parser = duration::parse, value_name = "TIME")]
    timeout: Option<Duration>,
}

impl Asking {
    fn connect(&self, config_file: Option<PathBuf>) -> Result<Service, Failure> {
        let destination = self.address.resolve(config_file)?;
        Ok(Service::new(destination, self.json, self.timeout))
    }

    /// Asks for one thing and prints the answer.
    async fn show<T: DeserializeOwned>(
        &self,
        config_file: Option<PathBuf>,
        request: Request,
        render: impl FnOnce(&T) -> String,
    ) -> Result<Exit, Failure> {
        self.connect(config_file)?.show(request, render).await?;
        Ok(Exit::Done)
    }
}

impl ServiceCommand {
    /// Executes the command; how it ended is said in words and as exit code.
    pub(super) fn execute(self, config_file: Option<PathBuf>) -> ExitCode {
        ended(actix::System::new().block_on(self.run(config_file)))
    }

    async fn run(self, config_file: Option<PathBuf>) -> Result<Exit, Failure> {
        match self {
            Self::Status(arguments) => status::run(&arguments, config_file).await,
            Self::Sync(command) => sync::run(&command, config_file).await,
            Self::Connectivity(arguments) => {
                client_system::connectivity(&arguments, config_file).await
            }
            Self::Heartbeat(arguments) => client_system::heartbeat(&arguments, config_file).await,
            Self::Config(command) => client_system::config(&command, config_file).await,
            Self::Stats(arguments) => records::stats(&arguments, config_file).await,
            Self::Log(arguments) => records::log(&arguments, config_file).await,
            Self::Quarantine(command) => quarantine::run(command, config_file).await,
            Self::Readings(arguments) => records::readings(&arguments, config_file).await,
            Self::Meters(arguments) => records::meters(&arguments, config_file).await,
            Self::Events(arguments) => events::run(&arguments, config_file).await,
        }
    }
}

/// Tells a failure on standard error, and the exit code.
pub(super) fn ended(outcome: Result<Exit, Failure>) -> ExitCode {
    match outcome {
        Ok(exit) => exit.into(),
        Err(failure) => {
            note(&failure.to_string());
            failure.exit().into()
        }
    }
}
