//! A site for one end-to-end test: the service in process, the bundled Client System at the other end of real
//! sockets, and a real database file between them and other programs.

mod database;
mod http;
pub mod peers;
pub mod postgres;
mod waiting;

use std::{collections::HashMap, io, time::Duration};

use chrono::{DateTime, TimeZone, Utc};
use meterit_sync::{
    app::{App, Ending, StopHandle, Surroundings},
    clock::Clock,
    control::Control,
    demo::client_system::{
        ClientSystem, ClientSystemOptions, FaultAction, FaultPath, FaultRule, ReceivedBatch,
    },
    domain::answer::EffectiveSettings,
    domain::status::{ActorState, ServiceStatus},
    settings::Settings,
    supervision::{failure_points::FailurePoints, intensity::IntensityLimit},
};

pub use self::{
    database::Database,
    http::{Answered, LocalApi, answered},
};

/// How a site is set up. By default all periodic work is as rare as it can be, so that a test sees only what it
/// asks for.
pub struct Plan {
    settings: Vec<(&'static str, String)>,
    options: ClientSystemOptions,
    intensity: IntensityLimit,
    longest_standstill: Option<Duration>,
    down: bool,
}

/// A running site.
pub struct Site {
    pub simulator: ClientSystem,
    pub clock: Clock,
    pub points: FailurePoints,
    pub database: Database,
    settings: Vec<(&'static str, String)>,
    intensity: IntensityLimit,
    longest_standstill: Option<Duration>,
    may_restart: Vec<String>,
    service: Option<Service>,
}

struct Service {
    port: u16,
    control: Control,
    stop: StopHandle,
    running: tokio::task::JoinHandle<io::Result<Ending>>,
}

impl Default for Plan {
    fn default() -> Self {
        let settings = [
            ("client_api_key", "demo-key"),
            ("local_api_port", "0"),
            ("api_timeout", "20000"),
            ("sync_interval_minutes", "1440"),
            ("connectivity_check_interval_ms", "3600000"),
            ("heartbeat_interval_ms", "86400000"),
            ("config_download_interval_minutes", "10080"),
        ];
        Self {
            settings: settings.map(|(key, value)| (key, value.to_owned())).into(),
            options: ClientSystemOptions::default(),
            intensity: IntensityLimit::default(),
            longest_standstill: None,
            down: false,
        }
    }
}

impl Plan {
    /// Over the defaults; a key may be given again.
    pub fn setting(mut self, key: &'static str, value: &str) -> Self {
        self.settings.retain(|(known, _)| *known != key);
        self.settings.push((key, value.to_owned()));
        self
    }

    /// Leaves a key to the service's own default, so that it is not pinned.
    pub fn unset(mut self, key: &str) -> Self {
        self.settings.retain(|(known, _)| *known != key);
        self
    }

    pub fn batch_size(self, size: usize) -> Self {
        self.setting("batch_size", &size.to_string())
    }

    /// A fault of the upload call, from the first request on.
    pub fn fault(mut self, rule: FaultRule) -> Self {
        self.options.faults.push(rule);
        self
    }

    pub fn client_system(mut self, change: impl FnOnce(&mut ClientSystemOptions)) -> Self {
        change(&mut self.options);
        self
    }

    pub fn intensity(self, intensity: IntensityLimit) -> Self {
        Self { intensity, ..self }
    }

    /// Every piece of work counts as wedged after this time.
    pub fn longest_standstill(self, longest: Duration) -> Self {
        Self {
            longest_standstill: Some(longest),
            ..self
        }
    }

    /// The Client System refuses connections when the service starts.
    pub fn down(self) -> Self {
        Self { down: true, ..self }
    }

    /// Starts the site with this many readings in the queue.
    pub async fn start(self, readings: u64) -> Site {
        let mut site = self.prepare().await;
        if readings > 0 {
            site.database.insert(0..readings).await;
        }
        site.start_service().await;
        site
    }

    /// Starts the site, and puts this many readings into the queue once nothing moves any more by itself.
    pub async fn start_settled(self, readings: u64) -> Site {
        let site = self.start(0).await;
        site.settled().await;
        if readings > 0 {
            site.database.insert(0..readings).await;
        }
        site
    }

    /// Everything but the service itself.
    pub async fn prepare(mut self) -> Site {
        let clock = Clock::manual(a_noon());
        self.options.clock = clock.clone();
        let simulator = ClientSystem::start(self.options).expect("the simulator starts");
        simulator.set_down(self.down);
        let database = Database::create().await;
        let mut settings = self.settings;
        let own = [
            ("client_api_url", simulator.base_url()),
            (
                "database_url",
                format!("sqlite:{}", database.file().display()),
            ),
        ];
        for (key, value) in own {
            if !settings.iter().any(|(known, _)| *known == key) {
                settings.push((key, value));
            }
        }
        Site {
            simulator,
            clock,
            points: FailurePoints::for_tests(),
            database,
            settings,
            intensity: self.intensity,
            longest_standstill: self.longest_standstill,
            may_restart: Vec::new(),
            service: None,
        }
    }
}

/// When the tests play.
pub fn a_noon() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 3, 1, 12, 0, 0)
        .single()
        .expect("a time")
}

/// A fault of the upload call.
pub fn on_batch(action: FaultAction) -> FaultRule {
    FaultRule::on(FaultPath::Batch, action)
}

/// An answer as scripted, JSON.
pub fn answer(status: u16, body: &str) -> FaultAction {
    FaultAction::Answer {
        status,
        headers: Vec::new(),
        body: body.to_owned(),
    }
}

/// An answer with one header.
pub fn answer_with(status: u16, name: &str, value: &str) -> FaultAction {
    FaultAction::Answer {
        status,
        headers: vec![(name.to_owned(), value.to_owned())],
        body: String::new(),
    }
}

impl Site {
    /// Starts the service; again after [`Site::stop_service`], on the same database.
    pub async fn start_service(&mut self) {
        let settings: Vec<(&str, &str)> = self
            .settings
            .iter()
            .map(|(key, value)| (*key, value.as_str()))
            .collect();
        let surroundings = Surroundings {
            clock: self.clock.clone(),
            failure_points: self.points.clone(),
            intensity: self.intensity,
            effective_settings: EffectiveSettings::default(),
            longest_standstill: self.longest_standstill,
        };
        let settings = Settings::from_overrides(&settings).expect("good settings");
        let app = App::build(settings, surroundings)
            .await
            .expect("the service starts");
        self.service = Some(Service {
            port: app.port(),
            control: app.control(),
            stop: app.stop_handle(),
            running: actix::spawn(app.run_until_stopped()),
        });
    }

    /// Changes a setting for the next start.
    pub fn change_setting(&mut self, key: &'static str, value: &str) {
        self.settings.retain(|(known, _)| *known != key);
        self.settings.push((key, value.to_owned()));
    }

    fn service(&self) -> &Service {
        self.service.as_ref().expect("the service runs")
    }

    pub fn control(&self) -> Control {
        self.service().control.clone()
    }

    pub fn status(&self) -> ServiceStatus {
        self.service().control.status()
    }

    /// Where the local API listens.
    pub fn port(&self) -> u16 {
        self.service().port
    }

    pub fn api(&self) -> LocalApi {
        LocalApi::new(self.service().port)
    }

    /// What the upload call has received.
    pub fn batches(&self) -> Vec<ReceivedBatch> {
        self.simulator.batches()
    }

    /// When each meter's first reading was stored.
    pub fn arrivals(&self) -> HashMap<String, DateTime<Utc>> {
        let mut arrivals = HashMap::new();
        for batch in self.batches() {
            for reading in batch.stored_readings {
                arrivals.entry(reading.meter).or_insert(batch.at);
            }
        }
        arrivals
    }

    /// Requests of any kind that reached the Client System.
    pub fn requests(&self) -> u64 {
        self.simulator.ledger().requests.values().sum()
    }

    /// A restart of this actor is what the test is about.
    pub fn may_restart(&mut self, actor: &str) {
        self.may_restart.push(actor.to_owned());
    }

    /// Ends the service as SIGTERM does, and checks that it went without failures and left nothing running.
    pub async fn stop_service(&mut self) {
        self.check_actors();
        let service = self.service.take().expect("the service runs");
        service.stop.stop();
        let ending = service
            .running
            .await
            .expect("no panic")
            .expect("no failure");
        assert!(matches!(ending, Ending::Stopped), "{ending:?}");
        check_nobody_is_left(&service.control).await;
        self.database.open_and_close().await;
    }

    /// Waits for the service to end by itself.
    pub async fn ended(&mut self) -> Ending {
        let service = self.service.take().expect("the service runs");
        let ending = service
            .running
            .await
            .expect("no panic")
            .expect("no failure");
        check_nobody_is_left(&service.control).await;
        self.database.open_and_close().await;
        ending
    }

    /// The end of every test: see [`Site::stop_service`]; and the ledger knows of no upload that broke the rules.
    pub async fn finish(mut self) {
        self.stop_service().await;
        self.check_ledger();
    }

    pub fn check_ledger(&self) {
        let ledger = self.simulator.ledger();
        assert!(ledger.most_open_per_key <= 1, "{ledger:#?}");
        assert_eq!(ledger.keys_with_differing_bodies, 0, "{ledger:#?}");
        assert_eq!(ledger.batches_without_key, 0, "{ledger:#?}");
    }

    fn check_actors(&self) {
        let actors = self.status().actors;
        assert_eq!(actors.len(), 6, "{actors:#?}");
        for actor in actors {
            assert_eq!(actor.state, ActorState::Running, "{actor:#?}");
            if !self.may_restart.iter().any(|name| *name == actor.name) {
                assert_eq!((actor.restarts, actor.generation), (0, 1), "{actor:#?}");
            }
        }
    }
}

/// Whoever asks an actor that has ended is told so at once.
async fn check_nobody_is_left(control: &Control) {
    assert!(control.start_sync().await.is_err());
    assert!(control.check_connectivity().await.is_err());
    assert!(control.send_heartbeat().await.is_err());
    assert!(control.download_config().await.is_err());
}
