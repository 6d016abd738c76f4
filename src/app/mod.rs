//! The only place that wires everything. [`App::build`] binds, [`App::run_until_stopped`] serves.

mod database;
pub mod diagnosis;
pub mod file_limits;
mod front_door;
pub mod import;
mod listening;
mod local_certificate;
pub mod migrations;
mod reloading;
mod server;
mod wiring;

use std::{io, sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, watch},
    task::AbortHandle,
};

use self::{
    database::Database,
    front_door::FrontDoor,
    listening::{CurrentServer, Listening},
    wiring::Wired,
};
pub use self::{
    listening::DESERTED,
    reloading::{Reloaded, Reloader},
};
use crate::{
    clock::Clock,
    control::{Control, Health},
    domain::{answer::EffectiveSettings, status::ServiceStatus, store::StoreError},
    messages::{database_writer::WriteLastMinute, sync_manager::WindDown},
    settings::Settings,
    storage::SyncStore,
    supervision::{
        ask::{ask, tell},
        failure_points::FailurePoints,
        intensity::IntensityLimit,
        pulse::Pulse,
        supervisor::Escalation,
    },
    telemetry::metrics::Metrics,
};

/// An orderly end waits for the upload in flight, which ends by its own timeout, and so much longer for it to be
/// settled. An upload that may take longer than usual is left to the next start: supervisors of processes lose
/// patience.
const FAREWELL_MARGIN: Duration = Duration::from_secs(5);
const LONGEST_FAREWELL: Duration = Duration::from_secs(35);

/// Why the service does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The Sync Database cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The local API's address is not to be had.
    #[error(
        "the local API cannot listen on {address}: {cause}; another program may use this port: choose another LOCAL_API_PORT, or stop that program"
    )]
    Listen {
        /// What was tried.
        address: String,
        /// Why it failed.
        cause: io::Error,
    },
    /// The local API has no certificate to show.
    #[error(
        "the local API cannot speak TLS, so nothing was started: {0}; correct LOCAL_TLS_CERT_FILE and LOCAL_TLS_KEY_FILE, or set neither for HTTP without TLS"
    )]
    Certificate(String),
    /// The HTTP server cannot be set up.
    #[error("the local API cannot be started: {0}")]
    Server(io::Error),
    /// The metrics contradict each other.
    #[error("the metrics cannot be declared: {0}")]
    Metrics(String),
}

impl StartError {
    /// Whether only a person can change it, so that starting again by itself is of no use.
    pub fn needs_a_person(&self) -> bool {
        match self {
            Self::Store(error) => error.needs_a_person(),
            Self::Certificate(_) => true,
            Self::Listen { .. } | Self::Server(_) | Self::Metrics(_) => false,
        }
    }
}

/// How the service ended.
#[derive(Clone, Debug)]
pub enum Ending {
    /// Someone asked for it, and everything in flight was settled or left for the next start.
    Stopped,
    /// A part failed again and again; whoever supervises the process should start it anew.
    Escalated(Escalation),
}

/// What the service cannot find out by itself, and what a test may put in the place of the real thing.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// The time.
    pub clock: Clock,
    /// Planned failures.
    pub failure_points: FailurePoints,
    /// How many restarts of an actor are too many.
    pub intensity: IntensityLimit,
    /// Cuts the time that an actor's work may take before it counts as wedged.
    pub longest_standstill: Option<Duration>,
    /// The settings as people are told of them.
    pub effective_settings: EffectiveSettings,
}

impl Default for Surroundings {
    fn default() -> Self {
        Self {
            clock: Clock::system(),
            failure_points: FailurePoints::default(),
            intensity: IntensityLimit::default(),
            longest_standstill: None,
            effective_settings: EffectiveSettings::default(),
        }
    }
}

impl Surroundings {
    /// With a function that lets the next passing of a named point panic, for attacks from outside.
    pub fn failing_on_demand() -> (Self, impl Fn(&str) + Send + 'static) {
        let failure_points = FailurePoints::for_tests();
        let surroundings = Self {
            failure_points: failure_points.clone(),
            ..Self::default()
        };
        (surroundings, move |point: &str| {
            failure_points.arm(point, 1)
        })
    }
}

/// A service that is set up and listens.
pub struct App {
    port: u16,
    wired: Wired,
    listening: Listening,
    store: Arc<dyn SyncStore>,
    escalations: mpsc::UnboundedReceiver<Escalation>,
    stop: watch::Sender<bool>,
    farewell: Duration,
    /// What goes on beside the actors.
    tasks: Vec<AbortHandle>,
}

/// Ends a running service from elsewhere.
#[derive(Clone, Debug)]
pub struct StopHandle(watch::Sender<bool>);

/// An operator on the same machine, in the same process.
pub struct Operator(Control);

impl Operator {
    /// How the service fares.
    pub fn status(&self) -> ServiceStatus {
        self.0.status()
    }

    /// Whether all parts move, so that there is no reason to restart the process.
    pub fn is_alive(&self) -> bool {
        self.0.liveness() == Health::Fine
    }

    /// The signs of life of the thread that all actors share.
    pub fn pulse(&self) -> Pulse {
        self.0.pulse()
    }

    /// Asks for a pass; one that runs already is as good as the one that was asked for.
    pub async fn sync_now(&self) {
        if let Err(refusal) = self.0.trigger_sync().await {
            tracing::debug!(%refusal, "no pass was started");
        }
    }
}

impl StopHandle {
    /// Asks for an orderly end.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

impl App {
    /// Opens the Sync Database, starts the actors and binds the local API. Has to be called on an actix system,
    /// whose thread the actors then live on.
    ///
    /// # Errors
    /// When the database or the address cannot be used.
    pub async fn build(settings: Settings, surroundings: Surroundings) -> Result<Self, StartError> {
        // Installed once per process; whoever came first did the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let farewell = (settings.client_system.timeout + FAREWELL_MARGIN).min(LONGEST_FAREWELL);
        let clock = surroundings.clock.clone();
        let door = FrontDoor::new(&settings.local_api, &clock)?;
        let database = Database::open(&settings.database).await?;
        let store = database.store();
        let metrics = Metrics::new().map_err(|error| StartError::Metrics(error.to_string()))?;
        let (wired, escalations) =
            wiring::wire(&settings, surroundings, &store, &metrics, &door).await?;
        let address = (settings.local_api.host, settings.local_api.port);
        let listening = Listening::new(address, &wired.control, &metrics, &door)?;
        let port = listening.port().map_err(StartError::Server)?;
        let mut tasks = vec![actix::spawn(wired.control.pulse().keep()).abort_handle()];
        let tls = door.certificate.is_some();
        if let Some(certificate) = door.certificate {
            tasks.push(actix::spawn(certificate.keep(clock.clone())).abort_handle());
        }
        if let Database::Awaited(awaited) = database {
            let recall = wired.recall.clone();
            let opening = actix::spawn(async move {
                awaited.open(clock).await;
                recall.recall().await;
            });
            tasks.push(opening.abort_handle());
        }
        tracing::info!(
            address = %settings.local_api.host,
            port,
            tls,
            client_system = settings.client_system.api_url,
            proxy = settings.client_system.proxy.as_ref().map(tracing::field::display),
            "the service has started"
        );
        Ok(Self {
            port,
            wired,
            listening,
            store,
            escalations,
            stop: watch::Sender::new(false),
            farewell,
            tasks,
        })
    }

    /// The port of the local API.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What a command that shows the service at work needs of it.
    pub fn operator(&self) -> Operator {
        Operator(self.control())
    }

    /// Every operator action, in process.
    pub fn control(&self) -> Control {
        self.wired.control.clone()
    }

    /// Changes settings of the service while it runs.
    pub fn reloader(&self) -> Reloader {
        self.wired.reloader.clone()
    }

    /// Ends the service from elsewhere.
    pub fn stop_handle(&self) -> StopHandle {
        StopHandle(self.stop.clone())
    }

    /// Serves until someone asks for the end or a part fails beyond repair.
    ///
    /// # Errors
    /// When the HTTP server fails.
    pub async fn run_until_stopped(mut self) -> io::Result<Ending> {
        let server = self.listening.current();
        let mut serving = actix::spawn(self.listening.serve());
        let mut stopped = self.stop.subscribe();
        let control = self.wired.control.clone();
        let ending = tokio::select! {
            served = &mut serving => match served.map_err(io::Error::other)?? {},
            _ = stopped.wait_for(|stopped| *stopped) => Ending::Stopped,
            Some(escalation) = self.escalations.recv() => Ending::Escalated(escalation),
            never = control.log_changes() => match never {},
        };
        tracing::info!("the service is ending");
        // With it goes the socket: whoever comes now is refused, and does not wait in vain.
        serving.abort();
        take_leave(&self.wired, &server, &ending, self.farewell).await;
        self.wired.supervisor.end_all();
        for task in &self.tasks {
            task.abort();
        }
        // The aborted actors let go of the database only when their tasks have been polled once more.
        tokio::task::yield_now().await;
        self.store.close().await;
        tracing::info!("the service has ended");
        Ok(ending)
    }
}

/// Lets the upload in flight finish and be settled; whatever does not end in time is found again by the next
/// start, under its old key.
async fn take_leave(wired: &Wired, server: &CurrentServer, ending: &Ending, patience: Duration) {
    if matches!(ending, Ending::Escalated(_)) {
        server.stop(false).await;
        return;
    }
    let farewell = async {
        let settled = async {
            if ask(&wired.wind_down, WindDown).await.is_err() {
                tell(&wired.wind_down, WindDown);
            }
            wired
                .sync_manager
                .wait_until(|snapshot| snapshot.current_pass.is_none())
                .await;
        };
        tokio::join!(settled, server.stop(true));
    };
    if tokio::time::timeout(patience, farewell).await.is_err() {
        tracing::warn!(
            "an upload did not end in time; it will be repeated under its old key after the next start"
        );
    }
    if !matches!(
        ask(&wired.write_last_minute, WriteLastMinute).await,
        Ok(Ok(()))
    ) {
        tracing::debug!("the last minute is missing in the history");
    }
}
