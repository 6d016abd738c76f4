//! `simulate`: the other side alone, for whoever wants to try the service or a client of their own against it.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use clap::{Args, Subcommand};

use super::{duration, failed, say};
use crate::demo::{
    client_system::{
        ClientSystem, ClientSystemOptions, Deduplication, FaultRule, RateLimit, Rollback,
    },
    fleet::Fleet,
};

/// What to pretend.
#[derive(Debug, Subcommand)]
pub(super) enum Simulation {
    /// A Client System on this machine, with faults by script
    ClientSystem(ClientSystemArguments),
    /// Thousands of sites after a common outage, in no time: what they would ask of the Client System
    Fleet(FleetArguments),
}

#[derive(Debug, Args)]
pub(super) struct ClientSystemArguments {
    /// The port on 127.0.0.1; 0 takes a free one
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// A second port for the control API, which stays open while the first one is down
    #[arg(long, value_name = "PORT")]
    control_port: Option<u16>,
    /// The API key that is let in
    #[arg(long, default_value = "demo-key")]
    api_key: String,
    /// Faults to begin with: a JSON list of rules, such as
    /// [{"path": "batch", "times": 2, "action": {"answer": {"status": 503}}}]
    ///
    /// path: health, auth, batch, config, heartbeat or any; skip and times count matching requests; larger_than
    /// (readings) and contains ({"meter": ID}) choose batches; commit lets the batch be stored first. Actions:
    /// {"answer": {"status", "headers", "body"}}, {"delay": {"milliseconds"}}, "reset", "close",
    /// {"truncate": {"keep_bytes"}}, "garbage", "unsuccessful", {"partial": {"rows"}}, {"refuse": {"naming":
    /// every, first or nothing}}, {"gigantic": {"bytes"}}, {"bomb": {"bytes"}},
    /// {"drip": {"milliseconds"}}, "hang". The control API takes the same list by PUT faults.
    #[arg(long, value_name = "FILE")]
    faults: Option<PathBuf>,
    /// Limit calls to 100 in 15 minutes, as deployed
    #[arg(long)]
    rate_limit: bool,
    /// Keep the other rows of a batch when one fails, as later versions do
    #[arg(long)]
    savepoints: bool,
    /// Recognise a repeated Idempotency-Key, as later versions may
    #[arg(long)]
    deduplicate: bool,
    /// How long storing one reading takes, such as 1ms
    #[arg(long, value_parser = duration::parse, value_name = "TIME")]
    time_per_reading: Option<Duration>,
}

/// Runs the simulation until Ctrl-C or SIGTERM.
pub(super) fn execute(simulation: Simulation) -> ExitCode {
    match simulation {
        Simulation::ClientSystem(arguments) => client_system(&arguments),
        Simulation::Fleet(arguments) => {
            let fleet = Fleet {
                sites: arguments.sites,
                outage: arguments.outage,
                batches: arguments.batches,
                seed: arguments.seed,
            };
            say(&fleet.compare().to_string());
            ExitCode::SUCCESS
        }
    }
}

fn client_system(arguments: &ClientSystemArguments) -> ExitCode {
    let options = match options(arguments) {
        Ok(options) => options,
        Err(error) => {
            eprintln!("meterit-sync: {error}");
            return ExitCode::from(2);
        }
    };
    match ClientSystem::start(options) {
        Ok(client_system) => serve(&client_system, &arguments.api_key),
        Err(error) => failed(format_args!(
            "the Client System cannot listen on port {} ({error}); choose another --port, or stop the program that uses it",
            arguments.port
        )),
    }
}

#[derive(Debug, Args)]
pub(super) struct FleetArguments {
    /// Sites
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    sites: u32,
    /// How long the Client System is out of reach for all of them
    #[arg(long, value_parser = duration::parse, default_value = "1h", value_name = "TIME")]
    outage: Duration,
    /// Batches that each site then has to upload
    #[arg(long, default_value_t = 12)]
    batches: u32,
    /// Decides everything that is random
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

fn options(arguments: &ClientSystemArguments) -> Result<ClientSystemOptions, String> {
    let faults = match &arguments.faults {
        None => Vec::new(),
        Some(file) => FaultRule::from_file(file).map_err(|error| {
            format!(
                "the faults in {} cannot be used: {error}; a JSON list of rules is expected",
                file.display()
            )
        })?,
    };
    Ok(ClientSystemOptions {
        port: arguments.port,
        control_port: arguments.control_port,
        api_key: arguments.api_key.clone(),
        rate_limit: arguments.rate_limit.then_some(RateLimit::DEPLOYED),
        rollback: if arguments.savepoints {
            Rollback::Savepoint
        } else {
            Rollback::Aborting
        },
        deduplication: if arguments.deduplicate {
            Deduplication::ReplayAnswer
        } else {
            Deduplication::Off
        },
        time_per_reading: arguments.time_per_reading.unwrap_or(Duration::ZERO),
        keep_readings: false,
        faults,
        ..ClientSystemOptions::default()
    })
}

fn serve(client_system: &ClientSystem, api_key: &str) -> ExitCode {
    println!(
        "Client System  {}  (X-API-Key: {api_key})",
        client_system.base_url()
    );
    println!("Control API    {}/ledger", client_system.control_url());
    let waited = actix::System::new().block_on(until_signal());
    match waited {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(format_args!("signals cannot be received: {error}")),
    }
}

async fn until_signal() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = terminate.recv() => Ok(()),
        interrupted = tokio::signal::ctrl_c() => interrupted,
    }
}
