//! A Client System to talk to: real HTTP on its own port, the deployed server's behaviour down to its quirks,
//! a script of faults, and a ledger that knows every reading it was ever sent.

mod answer;
mod body;
mod calls;
mod connection;
mod control;
mod database;
mod exchange;
mod fault;
mod handle;
mod ledger;
mod open_requests;
mod rate_limit;
mod reading;
mod server;
mod state;

#[cfg(test)]
mod tests;

use std::{
    io,
    net::{Ipv4Addr, TcpListener},
    ops::Deref,
    sync::{Arc, mpsc},
    thread::JoinHandle,
    time::Duration,
};

use self::{
    server::{Command, Listening},
    state::Shared,
};
use super::reserved_port::ReservedPort;
use crate::clock::Clock;

pub use self::{
    database::Rollback,
    fault::{FaultAction, FaultPath, FaultRule, Naming, PartialFault, ReadingPattern},
    handle::ClientSystemHandle,
    ledger::{Heartbeat, KeyRecord, LedgerSummary, ReceivedBatch},
    rate_limit::RateLimit,
    reading::Reading,
    state::{Deduplication, ServedConfiguration, ServedMeter, Site},
};

/// How the simulated server is set up. The default is the deployed version without its rate limit, on a free
/// port.
#[derive(Clone, Debug)]
pub struct ClientSystemOptions {
    /// The port on 127.0.0.1; 0 takes a free one.
    pub port: u16,
    /// A second port for the control API, which stays open through outages; 0 takes a free one.
    pub control_port: Option<u16>,
    /// The only key that is let in.
    pub api_key: String,
    /// The site that the key belongs to.
    pub site: Site,
    /// What the configuration call serves.
    pub configuration: ServedConfiguration,
    /// What one failing row does to its batch.
    pub rollback: Rollback,
    /// What a repeated `Idempotency-Key` means.
    pub deduplication: Deduplication,
    /// The limit on everything under `/api`, if any.
    pub rate_limit: Option<RateLimit>,
    /// Whether requests may come in Zstandard, and answers say so; the deployed Client System takes gzip alone.
    pub zstd: bool,
    /// How long an idle connection is kept.
    pub keep_alive: Duration,
    /// Meters whose rows fail in the database.
    pub failing_meters: Vec<String>,
    /// How long inserting one reading takes.
    pub time_per_reading: Duration,
    /// Whether the ledger keeps the stored readings themselves (about 200 bytes each), not only their counts.
    pub keep_readings: bool,
    /// The faults to start with.
    pub faults: Vec<FaultRule>,
    /// The clock that delays, outages and the rate limit go by.
    pub clock: Clock,
}

impl Default for ClientSystemOptions {
    fn default() -> Self {
        Self {
            port: 0,
            control_port: None,
            api_key: "demo-key".to_owned(),
            site: Site {
                id: 1,
                name: "Site A".to_owned(),
            },
            configuration: ServedConfiguration {
                meters: Vec::new(),
                sync_interval_minutes: 5,
                batch_size: 1000,
                meters_only: false,
            },
            rollback: Rollback::Aborting,
            deduplication: Deduplication::Off,
            rate_limit: None,
            zstd: false,
            keep_alive: Duration::from_secs(5),
            failing_meters: Vec::new(),
            time_per_reading: Duration::ZERO,
            keep_readings: true,
            faults: Vec::new(),
            clock: Clock::system(),
        }
    }
}

/// A running simulator; it stops when this is dropped. All questions and commands are on the handle that it
/// derefs to.
#[derive(Debug)]
pub struct ClientSystem {
    handle: ClientSystemHandle,
    thread: Option<JoinHandle<()>>,
}

impl ClientSystem {
    /// Starts it on threads of its own; on return it accepts connections.
    ///
    /// # Errors
    /// A port is taken, or the thread cannot be started.
    pub fn start(options: ClientSystemOptions) -> io::Result<Self> {
        let port = ReservedPort::new(options.port)?;
        let control = options
            .control_port
            .map(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)))
            .transpose()?;
        let control_port = control
            .as_ref()
            .map(TcpListener::local_addr)
            .transpose()?
            .map(|address| address.port());
        let keep_alive = options.keep_alive;
        let (commands, commands_received) = tokio::sync::mpsc::unbounded_channel();
        let shared = Arc::new(Shared::new(options, commands));
        let handle = ClientSystemHandle::new(Arc::clone(&shared), port.port(), control_port);
        let listening = Listening {
            shared,
            port,
            keep_alive,
            control,
        };
        let (started, start) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("client-system".to_owned())
            .spawn(move || {
                actix_web::rt::System::new().block_on(listening.run(commands_received, started));
            })?;
        start.recv().map_err(io::Error::other)??;
        Ok(Self {
            handle,
            thread: Some(thread),
        })
    }

    /// A handle that may outlive this; commands to a stopped simulator do nothing.
    pub fn handle(&self) -> ClientSystemHandle {
        self.handle.clone()
    }

    /// Closes the port and ends the threads. Dropping does the same.
    pub fn stop(self) {}
}

impl Deref for ClientSystem {
    type Target = ClientSystemHandle;

    fn deref(&self) -> &ClientSystemHandle {
        &self.handle
    }
}

impl Drop for ClientSystem {
    fn drop(&mut self) {
        self.handle.send(Command::Stop);
        if let Some(thread) = self.thread.take() {
            // A panic over there has been reported by its own thread.
            let _ = thread.join();
        }
    }
}
