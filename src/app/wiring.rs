//! Who knows whom: builds the actors and gives each the addresses that it may talk to.

use std::{rc::Rc, sync::Arc, time::Duration};

use actix::Recipient;
use secrecy::ExposeSecret;
use tokio::sync::mpsc;

use super::{
    StartError, Surroundings,
    front_door::FrontDoor,
    reloading::{LiveSettings, Reloader},
};
use crate::{
    actors::{
        api_client::{ApiClient, ApiClientParts, Exchanges, ServerKnowledge, about_codings},
        config_downloader::{ConfigDownloader, ConfigDownloaderParts},
        connectivity_monitor::{ConnectivityMonitor, ConnectivityMonitorParts},
        database_writer::{DatabaseWriter, DatabaseWriterParts},
        heartbeat::{Heartbeat, HeartbeatParts},
        sync_manager::{DeliveryLine, SyncManager, SyncManagerParts, SyncMemory},
    },
    clock::Clock,
    control::{Control, Parts, Patience},
    domain::{
        event::EventKind,
        history::{KEPT_MINUTES, minute_of},
        outage,
        schedule::SiteSeed,
        status::SyncStatus,
        store::Fact,
        timestamp::Timestamp,
    },
    messages::{
        api_client::PostHeartbeat,
        database_writer::{DatabaseSnapshot, WriteLastMinute},
        events::EventBus,
        sync_manager::{ApplyWishes, SyncManagerSnapshot, WindDown},
    },
    settings::Settings,
    storage::SyncStore,
    supervision::{
        ask::tell,
        board::Board,
        progress::Progress,
        published::Published,
        supervisor::{Escalation, Seat, Supervisor},
    },
    telemetry::metrics::Metrics,
};

/// Messages that wait in an actor's mailbox at the most.
const MAILBOX: usize = 256;
/// Beyond a call's own timeout; then something other than the Client System is slow.
const MARGIN: Duration = Duration::from_secs(10);

/// The running actors, as far as the app needs them.
pub(super) struct Wired {
    pub(super) control: Control,
    pub(super) supervisor: Supervisor,
    pub(super) wind_down: Recipient<WindDown>,
    pub(super) write_last_minute: Recipient<WriteLastMinute>,
    pub(super) sync_manager: Published<SyncManagerSnapshot>,
    pub(super) recall: Recall,
    pub(super) reloader: Reloader,
}

/// Builds and starts all actors.
pub(super) async fn wire(
    settings: &Settings,
    surroundings: Surroundings,
    store: &Arc<dyn SyncStore>,
    metrics: &Metrics,
    door: &FrontDoor,
) -> Result<(Wired, mpsc::UnboundedReceiver<Escalation>), StartError> {
    let Surroundings {
        clock,
        failure_points,
        intensity,
        longest_standstill,
        effective_settings,
    } = surroundings;
    let events = EventBus::default();
    let board = board(&clock, &events);
    let (supervisor, escalations) = Supervisor::new(clock.clone(), board.clone(), intensity);
    let live = LiveSettings::new(settings, effective_settings);
    let seed = SiteSeed::new(settings.client_system.api_key.expose_secret());
    let call_patience = settings.client_system.timeout + MARGIN;

    let writer = Seat::<DatabaseWriter>::with_capacity(MAILBOX);
    let api = Seat::<ApiClient>::with_capacity(MAILBOX);
    let monitor = Seat::<ConnectivityMonitor>::with_capacity(MAILBOX);
    let manager = Seat::<SyncManager>::with_capacity(MAILBOX);
    let heartbeat = Seat::<Heartbeat>::with_capacity(MAILBOX);
    let downloader = Seat::<ConfigDownloader>::with_capacity(MAILBOX);
    let (writer_address, api_address) = (writer.address(), api.address());
    let (monitor_address, manager_address) = (monitor.address(), manager.address());
    let (heartbeat_address, downloader_address) = (heartbeat.address(), downloader.address());

    let recall = Recall {
        store: store.clone(),
        clock: clock.clone(),
        knowledge: Rc::default(),
        about_codings: about_codings(
            &settings.client_system.api_url,
            settings.sync.upload_compression,
        ),
        wishes: manager_address.clone().recipient(),
    };
    // Before any actor runs, so that the first call already keeps to a pause that is not over.
    let wishes = recall.read().await.unwrap_or_default();

    let connectivity = Published::default();
    let api_snapshot = Published::default();
    // Before any actor runs, so that only one instance does what one does for all.
    let database = Published::new(DatabaseSnapshot {
        attendance: store.attend().await.ok(),
        ..DatabaseSnapshot::default()
    });
    // Before the sync manager has spoken for itself: it is about to start.
    let sync_status = Published::new(SyncStatus {
        is_running: true,
        ..SyncStatus::default()
    });
    let sync_manager = Published::new(SyncManagerSnapshot {
        running: true,
        ..SyncManagerSnapshot::default()
    });
    let heartbeat_status = Published::default();
    let config_status = Published::default();

    let reloader = Reloader {
        live: live.clone(),
        door: door.clone(),
        listeners: vec![
            manager_address.clone().recipient(),
            monitor_address.clone().recipient(),
            heartbeat_address.clone().recipient(),
            downloader_address.clone().recipient(),
        ],
    };
    let control = Control::new(Parts {
        start_sync: manager_address.clone().recipient(),
        stop_sync: manager_address.clone().recipient(),
        trigger_sync: manager_address.clone().recipient(),
        trigger_sync_and_wait: manager_address.clone().recipient(),
        force_check: monitor_address.clone().recipient(),
        send_heartbeat: heartbeat_address.recipient(),
        download_now: downloader_address.clone().recipient(),
        insert_readings: writer_address.clone().recipient(),
        requeue_quarantined: writer_address.clone().recipient(),
        correct_quarantined: writer_address.clone().recipient(),
        discard_quarantined: writer_address.clone().recipient(),
        sync_status: sync_status.clone(),
        sync_manager: sync_manager.clone(),
        connectivity: connectivity.clone(),
        api_client: api_snapshot.clone(),
        database: database.clone(),
        heartbeat: heartbeat_status.clone(),
        config: config_status.clone(),
        settings: live.effective.clone(),
        certificate_expires: door.certificate_expires(),
        board,
        events: events.clone(),
        clock: clock.clone(),
        store: store.clone(),
        started_at: clock.now().into(),
        automatic: settings.sync.auto,
        patience: Patience::for_calls_of(settings.client_system.timeout),
    });

    supervisor.start(
        writer,
        DatabaseWriter::new(DatabaseWriterParts {
            ahead: Rc::default(),
            as_read: Rc::default(),
            last_readings: Rc::default(),
            history: Rc::default(),
            settings: settings.sync.clone(),
            seed,
            clock: clock.clone(),
            store: store.clone(),
            fresh_readings: manager_address.clone().recipient(),
            hold: api_address.clone().recipient(),
            api_snapshot: api_snapshot.clone(),
            connectivity: connectivity.clone(),
            events: events.clone(),
            published: database.clone(),
            totals: sync_status.clone(),
            metrics: metrics.clone(),
            progress: Progress::new(longest_standstill),
            failure_points: failure_points.clone(),
        }),
    );
    supervisor.start(
        api,
        ApiClient::new(ApiClientParts {
            settings: settings.client_system.clone(),
            api_key: live.api_key.clone(),
            compression: settings.sync.upload_compression,
            max_bytes_per_second: settings.sync.max_bytes_per_second,
            other_calls_every: settings
                .heartbeat
                .interval
                .min(settings.connectivity.check_interval),
            clock: clock.clone(),
            knowledge: recall.knowledge.clone(),
            exchanges: Rc::new(Exchanges::default()),
            evidence: monitor_address.clone().recipient(),
            remember: writer_address.clone().recipient(),
            published: api_snapshot.clone(),
            metrics: metrics.clone(),
            progress: Progress::new(longest_standstill),
            failure_points: failure_points.clone(),
        }),
    );
    let earlier_outage = outage_under_way(store.as_ref(), clock.now().into()).await;
    supervisor.start(
        monitor,
        ConnectivityMonitor::new(
            earlier_outage,
            ConnectivityMonitorParts {
                settings: live.connectivity.clone(),
                probed_url: format!("{}/health", settings.client_system.api_url),
                check_patience: call_patience,
                clock: clock.clone(),
                api_client: api_address.clone().recipient(),
                subscribers: vec![
                    manager_address.clone().recipient(),
                    downloader_address.recipient(),
                ],
                events: events.clone(),
                api_snapshot: api_snapshot.clone(),
                published: connectivity.clone(),
                progress: Progress::new(longest_standstill),
                failure_points: failure_points.clone(),
            },
        ),
    );
    supervisor.start(
        manager,
        SyncManager::new(SyncManagerParts {
            settings: live.sync.clone(),
            upload_timeout: settings.client_system.timeout,
            wishes,
            seed,
            clock: clock.clone(),
            store: store.clone(),
            line: DeliveryLine {
                upload: api_address.clone().recipient(),
                claim: writer_address.clone().recipient(),
                begin: writer_address.clone().recipient(),
                settle: writer_address.clone().recipient(),
                take_over: writer_address.clone().recipient(),
                judge: writer_address.clone().recipient(),
                remember: writer_address.clone().recipient(),
                clock: clock.clone(),
                failure_points: failure_points.clone(),
            },
            authenticate: api_address.clone().recipient(),
            connectivity: connectivity.clone(),
            api_snapshot,
            events,
            memory: Rc::new(SyncMemory::default()),
            status: sync_status,
            published: sync_manager.clone(),
            config_status: config_status.clone(),
            progress: Progress::new(longest_standstill),
            failure_points: failure_points.clone(),
        }),
    );
    supervisor.start(
        heartbeat,
        Heartbeat::new(HeartbeatParts {
            settings: live.heartbeat.clone(),
            seed,
            clock: clock.clone(),
            patience: call_patience,
            api_client: api_address.clone().recipient(),
            report: heartbeat_report(&control, &database),
            connectivity: connectivity.clone(),
            database: database.clone(),
            published: heartbeat_status,
            progress: Progress::new(longest_standstill),
            failure_points: failure_points.clone(),
        }),
    );
    supervisor.start(
        downloader,
        ConfigDownloader::new(ConfigDownloaderParts {
            settings: live.config_download.clone(),
            seed,
            clock,
            patience: call_patience,
            api_client: api_address.recipient(),
            apply_meters: writer_address.clone().recipient(),
            remember: writer_address.clone().recipient(),
            wishes: manager_address.clone().recipient(),
            connectivity,
            store: store.clone(),
            database,
            published: config_status,
            progress: Progress::new(longest_standstill),
            failure_points,
        }),
    );
    let wired = Wired {
        control,
        supervisor,
        wind_down: manager_address.recipient(),
        write_last_minute: writer_address.recipient(),
        sync_manager,
        recall,
        reloader,
    };
    Ok((wired, escalations))
}

/// As the last minutes before the start tell; none where they cannot be read.
async fn outage_under_way(store: &dyn SyncStore, now: Timestamp) -> Option<Timestamp> {
    let end = minute_of(now) + 1;
    let began_within = async |minutes| {
        let samples = store.samples(end - minutes..end).await.ok()?;
        outage::under_way(&samples, now)
    };
    // Only where the latest tell of one are all looked through.
    began_within(outage::LONGEST_GAP + 1).await?;
    began_within(KEPT_MINUTES).await
}

fn board(clock: &Clock, events: &EventBus) -> Board {
    let (told, time) = (events.clone(), clock.clone());
    let listener = move |actor, failure: &str| {
        told.tell(
            time.now().into(),
            EventKind::ActorRestarted {
                actor,
                failure: failure.to_owned(),
            },
        );
    };
    Board::new(clock.clone(), Arc::new(listener))
}

fn heartbeat_report(
    control: &Control,
    database: &Published<DatabaseSnapshot>,
) -> Rc<dyn Fn() -> PostHeartbeat> {
    let (control, database) = (control.clone(), database.clone());
    Rc::new(move || {
        let status = control.status();
        PostHeartbeat {
            status: status.state,
            queue_size: (!status.sync.queue_size_unknown).then_some(status.sync.queue_size),
            last_collection: database.read(|snapshot| snapshot.last_collection),
            uptime: status.uptime_s,
        }
    })
}

/// Brings back what an earlier process has remembered, once the database can be read.
#[derive(Clone)]
pub(super) struct Recall {
    store: Arc<dyn SyncStore>,
    clock: Clock,
    knowledge: Rc<ServerKnowledge>,
    /// What the verdicts on codings have to be about.
    about_codings: String,
    wishes: Recipient<ApplyWishes>,
}

impl Recall {
    /// For a database that came late: the actors run already.
    pub(super) async fn recall(&self) {
        if let Some(wishes) = self.read().await {
            // Should this be lost, the next configuration download tells it again.
            tell(&self.wishes, wishes);
        }
    }

    /// What the last good configuration asked for, so that a start without a link keeps to it.
    async fn read(&self) -> Option<ApplyWishes> {
        let store = self.store.as_ref();
        self.knowledge
            .recall(store, &self.about_codings, self.clock.now().into())
            .await
            .ok()?;
        let remembered = store.fact(Fact::Configuration).await.ok()?;
        ApplyWishes::from_fact(&remembered?)
    }
}
