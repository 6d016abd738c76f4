//! `demo`: meters, the service and a Client System on one machine, an outage if wanted, and an account at the
//! end that takes its numbers from the meters and the Client System, never from the service between them.

mod account;
mod site;

use std::{io, path::PathBuf, process::ExitCode, time::Duration};

use clap::Args;
use tokio::sync::watch;

use self::{account::Account, site::DemoSite};
use super::{duration, failed, run::stop_on_signals, say};
use crate::{
    app::{App, Operator, Surroundings},
    clock::Clock,
    demo::live_view::LiveView,
    settings::{LogFormat, LoggingSettings, Settings},
    telemetry,
};

/// Between two looks at everything.
const FRAME: Duration = Duration::from_millis(250);
/// What of its environment the demonstration keeps to as the service does, and the settings that it becomes.
const PROXY_VARIABLES: [(&str, &str); 2] =
    [("https_proxy", "HTTPS_PROXY"), ("no_proxy", "NO_PROXY")];
/// After the meters have stopped, the queue may take this long to drain.
const LONGEST_DRAIN: Duration = Duration::from_secs(60);

#[derive(Debug, Args)]
pub(super) struct DemoArguments {
    /// Readings that already wait when the demonstration begins
    #[arg(long, default_value_t = 20_000, value_name = "READINGS")]
    backlog: u64,
    /// Let the Client System be away for so long, after a quarter of the duration
    #[arg(long, value_parser = duration::parse, value_name = "TIME")]
    outage: Option<Duration>,
    /// End after so long; without it, Ctrl-C ends the demonstration
    #[arg(long, value_parser = duration::parse, value_name = "TIME")]
    duration: Option<Duration>,
    /// Keep the Sync Database in this folder instead of a temporary one
    #[arg(long, value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
    /// How many meters the site has
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    meters: u32,
    /// Limit calls to the Client System to 100 in 15 minutes, as deployed
    #[arg(long)]
    rate_limit: bool,
    /// The port of the local API; 0 takes a free one
    #[arg(long, default_value_t = 0)]
    port: u16,
}

/// Runs the demonstration. Exit code 0 only if nothing was lost or doubled.
pub(super) fn execute(arguments: &DemoArguments) -> ExitCode {
    let logging = LoggingSettings {
        filter: "error,actix_http=off,actix_server=off".to_owned(),
        format: LogFormat::Readable,
    };
    if let Err(error) = telemetry::logging::install(&logging, None) {
        return failed(error);
    }
    match actix::System::new().block_on(demonstrate(arguments)) {
        Ok(account) => {
            say(&account.to_string());
            if account.is_good() {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            }
        }
        Err(error) => failed(format_args!("the demonstration failed: {error}")),
    }
}

type Failure = Box<dyn std::error::Error>;

async fn demonstrate(arguments: &DemoArguments) -> Result<Account, Failure> {
    let mut site = DemoSite::prepare(arguments)?;
    let settings = settings(arguments, &site)?;
    let way = settings
        .client_system
        .proxy
        .as_ref()
        .map_or_else(String::new, |proxy| {
            format!(", through the proxy {proxy} (HTTPS_PROXY)")
        });
    let app = App::build(settings, Surroundings::default()).await?;
    let (stop, service) = (app.stop_handle(), app.operator());
    let (interrupted, mut interruption) = watch::channel(false);
    stop_on_signals(move || {
        interrupted.send_replace(true);
    })?;
    say(&format!(
        "Client System  {}{way}\nSync Database  {}\nStatus         http://127.0.0.1:{port}/status\nDashboard      http://127.0.0.1:{port}/\n\n",
        site.client_system_url(),
        site.database().display(),
        port = app.port()
    ));
    let served = actix::spawn(app.run_until_stopped());
    let shown = show(arguments, &mut site, &service, &mut interruption).await;
    // Whatever happened, the service ends in good order before the account is made.
    stop.stop();
    served.await??;
    shown?;
    site.close().await
}

/// Lets the demonstration run its course.
async fn show(
    arguments: &DemoArguments,
    site: &mut DemoSite,
    service: &Operator,
    interruption: &mut watch::Receiver<bool>,
) -> Result<(), Failure> {
    site.open(arguments.backlog).await?;
    service.sync_now().await;
    let clock = Clock::system();
    let mut view = LiveView::on_stdout();
    let outage_at = arguments
        .duration
        .map_or(Duration::from_secs(15), |duration| duration / 4);
    let is_over = |now| arguments.duration.is_some_and(|duration| now >= duration);
    while !*interruption.borrow() && !is_over(clock.elapsed()) {
        let outage = arguments.outage.filter(|_| clock.elapsed() >= outage_at);
        site.advance(clock.elapsed(), outage).await?;
        while_read(view.show(&site.view(&service.status(), clock.elapsed())))?;
        tokio::select! {
            () = clock.sleep(FRAME) => {}
            _ = interruption.changed() => {}
        }
    }
    service.sync_now().await;
    let drained_by = clock.elapsed() + LONGEST_DRAIN;
    while clock.elapsed() < drained_by && site.waiting().await? > 0 {
        while_read(view.show(&site.view(&service.status(), clock.elapsed())))?;
        clock.sleep(FRAME).await;
    }
    Ok(())
}

/// Whoever reads through a pipe may stop when it has seen enough; the demonstration goes on to its account.
fn while_read(written: io::Result<()>) -> io::Result<()> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// The first that says anything.
fn variable_of(names: &[&str]) -> Option<String> {
    let values = names.iter().filter_map(|name| std::env::var(name).ok());
    values.into_iter().find(|value| !value.is_empty())
}

fn settings(arguments: &DemoArguments, site: &DemoSite) -> Result<Settings, Failure> {
    let (url, port) = (site.client_system_url(), arguments.port.to_string());
    let database = format!("sqlite:{}", site.database().display());
    let proxied = PROXY_VARIABLES.map(|(key, variable)| (key, variable_of(&[variable, key])));
    let proxied = proxied
        .iter()
        .filter_map(|(key, value)| Some((*key, value.as_deref()?)));
    let own = [
        ("client_api_url", url.as_str()),
        ("client_api_key", site.api_key()),
        // Nothing in it is real, and it may go through a proxy.
        ("client_api_allow_http", "true"),
        ("database_url", &database),
        ("local_api_port", &port),
        ("sync_interval_minutes", "1"),
        ("connectivity_check_interval_ms", "1000"),
        ("heartbeat_interval_ms", "5000"),
    ];
    let overrides: Vec<(&str, &str)> = own.into_iter().chain(proxied).collect();
    Ok(Settings::from_overrides(&overrides)?)
}
