//! `sync`: switching the uploading on and off, and starting a pass.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{
    Asking,
    failure::Failure,
    progress,
    service::Request,
    text::{counted, lasting_about},
};
use crate::{
    cli::exit::Exit,
    domain::{
        answer::{Switched, Triggered},
        pass::PassReport,
    },
};

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum SyncCommand {
    /// Start the uploading after it was stopped
    ///
    /// Lets the service upload again. That it does so already is no failure.
    Start(SwitchArguments),
    /// Stop the uploading; readings are kept in the Sync Database
    ///
    /// Stops the uploading until `sync start` or a restart of the service; the upload in flight is finished, readings are
    /// kept in the Sync Database. That it is stopped already is no failure.
    Stop(SwitchArguments),
    /// Start a pass over the queue now
    ///
    /// Starts a pass that uploads what is in the queue. Without --wait it ends as soon as the pass has started, and with
    /// exit code 1 when one runs already, the uploading is stopped or the Client System cannot be reached. With --wait it
    /// joins a pass that runs, then waits, however long that takes, until all that was in the Sync Database before is
    /// uploaded; a bar on the terminal shows how far it is. To interrupt the waiting does not interrupt the pass.
    Trigger(TriggerArguments),
}

#[derive(Debug, Args)]
pub(in crate::cli) struct SwitchArguments {
    #[command(flatten)]
    asking: Asking,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct TriggerArguments {
    /// Wait until the queue is uploaded, however long that takes
    #[arg(long)]
    wait: bool,
    #[command(flatten)]
    asking: Asking,
}

pub(super) async fn run(
    command: &SyncCommand,
    config_file: Option<PathBuf>,
) -> Result<Exit, Failure> {
    match command {
        SyncCommand::Start(arguments) => switch(&arguments.asking, "start", config_file).await,
        SyncCommand::Stop(arguments) => switch(&arguments.asking, "stop", config_file).await,
        SyncCommand::Trigger(arguments) => trigger(arguments, config_file).await,
    }
}

async fn switch(asking: &Asking, how: &str, config_file: Option<PathBuf>) -> Result<Exit, Failure> {
    let request = Request::post(format!("/api/v1/sync/{how}"));
    asking.show(config_file, request, switched).await
}

fn switched(switched: &Switched) -> String {
    let now = if switched.is_running {
        "started"
    } else {
        "stopped"
    };
    let already = if switched.changed { "" } else { "already " };
    format!("the uploading is {already}{now}\n")
}

async fn trigger(
    arguments: &TriggerArguments,
    config_file: Option<PathBuf>,
) -> Result<Exit, Failure> {
    let request = Request::post("/api/v1/sync/trigger");
    if !arguments.wait {
        return arguments.asking.show(config_file, request, triggered).await;
    }
    let service = arguments.asking.connect(config_file)?;
    let request = request.with("wait", true).within(None);
    let answer = progress::shown_while(&service, service.ask(request)).await?;
    service.print(&answer, waited)?;
    Ok(Exit::Done)
}

fn triggered(triggered: &Triggered) -> String {
    format!(
        "pass {} has started; `meterit-sync status` tells how it fares\n",
        triggered.pass_id
    )
}

fn waited(report: &PassReport) -> String {
    format!(
        "pass {}: {}; {} delivered, {} quarantined, in {} and {}\n",
        report.id,
        report.end.describe(),
        counted(report.delivered, "reading", "readings"),
        report.quarantined,
        counted(report.requests, "request", "requests"),
        lasting_about(report.finished_at.seconds_since(report.started_at)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_switched_is_told_with_whether_it_is_new() {
        let words = |changed, is_running| {
            switched(&Switched {
                changed,
                is_running,
            })
        };
        assert_eq!(words(true, true), "the uploading is started\n");
        assert_eq!(words(false, false), "the uploading is already stopped\n");
    }
}
