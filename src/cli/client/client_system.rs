//! `connectivity`, `heartbeat` and `config`: what the service has to do with the Client System beside the uploading.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::{
    Asking,
    failure::Failure,
    service::Request,
    text::{counted, facts, lasting, one_line, or_nothing},
};
use crate::{
    cli::exit::Exit,
    domain::{connectivity::ConnectivityStatus, meter::MeterChanges, status::HeartbeatStatus},
};

#[derive(Debug, Args)]
pub(in crate::cli) struct ConnectivityArguments {
    /// Ask now; without it, what the service knows already is told
    #[arg(value_enum)]
    action: Option<ConnectivityAction>,
    #[command(flatten)]
    asking: Asking,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ConnectivityAction {
    /// Let the service call the Client System now
    Check,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct HeartbeatArguments {
    #[command(flatten)]
    asking: Asking,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum ConfigCommand {
    /// Download and apply the configuration now
    ///
    /// Lets the service fetch the site's configuration and apply it; when that fails, the last good one stays in force.
    Download(DownloadArguments),
}

#[derive(Debug, Args)]
pub(in crate::cli) struct DownloadArguments {
    #[command(flatten)]
    asking: Asking,
}

pub(super) async fn connectivity(
    arguments: &ConnectivityArguments,
    config_file: Option<PathBuf>,
) -> Result<Exit, Failure> {
    let request = match arguments.action {
        None => Request::get("/api/v1/connectivity"),
        Some(ConnectivityAction::Check) => {
            Request::post("/api/v1/connectivity/check").of_client_system()
        }
    };
    let service = arguments.asking.connect(config_file)?;
    let found: ConnectivityStatus = service.show(request, link).await?;
    Ok(if found.is_connected {
        Exit::Done
    } else {
        Exit::NotWell
    })
}

pub(super) async fn heartbeat(
    arguments: &HeartbeatArguments,
    config_file: Option<PathBuf>,
) -> Result<Exit, Failure> {
    let request = Request::post("/api/v1/heartbeat").of_client_system();
    arguments.asking.show(config_file, request, sent).await
}

pub(super) async fn config(
    command: &ConfigCommand,
    config_file: Option<PathBuf>,
) -> Result<Exit, Failure> {
    let ConfigCommand::Download(arguments) = command;
    let request = Request::post("/api/v1/config/download").of_client_system();
    arguments
        .asking
        .show(config_file, request, downloaded)
        .await
}

fn link(link: &ConnectivityStatus) -> String {
    let known = if let Some(trouble) = &link.trouble {
        format!("answers, but {}", one_line(trouble))
    } else if link.is_connected {
        format!("is reachable, for {}", lasting(link.uptime))
    } else if link.is_known_down() {
        format!("is unreachable, for {}", lasting(link.downtime))
    } else {
        "is not known yet to be reachable or not".to_owned()
    };
    let mut rows = vec![
        ("address", one_line(&link.url)),
        ("last check", or_nothing(link.last_check_time)),
        ("last answer", or_nothing(link.last_successful_connection)),
        ("last failure", or_nothing(link.last_failed_connection)),
        ("last error", or_nothing(link.last_error.as_deref())),
    ];
    rows.extend(
        link.held_until
            .map(|until| ("left alone until", until.to_string())),
    );
    format!("the Client System {known}\n\n{}", facts(&rows))
}

fn sent(heartbeat: &HeartbeatStatus) -> String {
    format!(
        "the heartbeat was taken at {}; the Client System's clock says {}\n",
        or_nothing(heartbeat.last_success_at),
        or_nothing(heartbeat.server_time)
    )
}

fn downloaded(changes: &MeterChanges) -> String {
    format!(
        "the configuration was downloaded: {}, {} no longer in it\n",
        counted(changes.configured as u64, "meter", "meters"),
        changes.deactivated
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_link_is_told_with_its_last_words() {
        let down = ConnectivityStatus {
            consecutive_failures: 2,
            downtime: 185,
            url: "http://client.example".to_owned(),
            last_error: Some("connection\nrefused".to_owned()),
            ..ConnectivityStatus::default()
        };
        assert_eq!(
            link(&down),
            "the Client System is unreachable, for 3 min 5 s\n\
             \n\
             address       http://client.example\n\
             last check    –\n\
             last answer   –\n\
             last failure  –\n\
             last error    connection refused\n"
        );
        let up = ConnectivityStatus {
            is_connected: true,
            ..ConnectivityStatus::default()
        };
        assert!(link(&up).starts_with("the Client System is reachable, for 0 s\n"));
        let ill = ConnectivityStatus {
            trouble: Some("its health check says 503 (no database)".to_owned()),
            ..up
        };
        let told = "the Client System answers, but its health check says 503 (no database)\n";
        assert!(link(&ill).starts_with(told), "{}", link(&ill));
        let unknown = link(&ConnectivityStatus::default());
        assert!(
            unknown.starts_with("the Client System is not known yet"),
            "{unknown}"
        );
    }
}
