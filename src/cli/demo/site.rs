//! The world around the service in a demonstration: meters, a Client System, and the folder between them.

use std::{
    collections::VecDeque,
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use chrono::{DateTime, Utc};
use tempfile::TempDir;

use super::{DemoArguments, Failure, account::Account};
use crate::{
    clock::Clock,
    demo::{
        client_system::{
            ClientSystem, ClientSystemOptions, RateLimit, ServedConfiguration, ServedMeter,
        },
        live_view::{Event, View},
        meters::{MeterReading, MeterWriter, MeteredSite, Readings},
    },
    domain::{
        status::{ServiceStatus, State},
        words::counted,
    },
};

/// The meters measure this often; each measurement stands for a minute.
const MEASURE_EVERY: Duration = Duration::from_secs(1);
/// Rows in one transaction while the backlog is written.
const ROWS_AT_A_TIME: usize = 1_000;
/// Over how long the shown rate is averaged.
const RATE_WINDOW: Duration = Duration::from_secs(3);

pub(super) struct DemoSite {
    client_system: ClientSystem,
    api_key: String,
    folder: PathBuf,
    /// Deletes the folder at the end.
    _temporary: Option<TempDir>,
    metered: MeteredSite,
    meters: Option<Meters>,
    outage_begun: bool,
    rates: VecDeque<(Duration, u64)>,
    largest_queue: u64,
    events: Vec<Event>,
    last_told: Option<DateTime<Utc>>,
}

struct Meters {
    writer: MeterWriter,
    readings: Readings,
    next_measurement: Duration,
}

impl DemoSite {
    pub(super) fn prepare(arguments: &DemoArguments) -> io::Result<Self> {
        let temporary = if arguments.data_dir.is_none() {
            Some(TempDir::with_prefix("meterit-sync-demo-")?)
        } else {
            None
        };
        let folder = match (&arguments.data_dir, &temporary) {
            (Some(folder), _) => folder.clone(),
            (None, Some(temporary)) => temporary.path().to_owned(),
            (None, None) => PathBuf::from("."),
        };
        std::fs::create_dir_all(&folder)?;
        let now = Clock::system().now();
        let minute = Duration::from_secs(60);
        let metered = MeteredSite::with_backlog(
            u64::from(now.timestamp().unsigned_abs() as u32),
            arguments.meters,
            minute,
            now,
            arguments.backlog,
        );
        let meter = |id: String| ServedMeter {
            name: format!("Meter {id}"),
            external_id: id,
            ..ServedMeter::default()
        };
        let options = ClientSystemOptions {
            rate_limit: arguments.rate_limit.then_some(RateLimit::DEPLOYED),
            configuration: ServedConfiguration {
                meters: metered.meter_ids().into_iter().map(meter).collect(),
                ..ClientSystemOptions::default().configuration
            },
            keep_readings: false,
            ..ClientSystemOptions::default()
        };
        Ok(Self {
            api_key: options.api_key.clone(),
            client_system: ClientSystem::start(options)?,
            folder,
            _temporary: temporary,
            metered,
            meters: None,
            outage_begun: false,
            rates: VecDeque::new(),
            largest_queue: 0,
            events: Vec::new(),
            last_told: None,
        })
    }

    pub(super) fn client_system_url(&self) -> String {
        self.client_system.base_url()
    }

    pub(super) fn api_key(&self) -> &str {
        &self.api_key
    }

    pub(super) fn database(&self) -> PathBuf {
        self.folder.join("sync.db")
    }

    /// Switches the meters on, with what they are to have measured before.
    pub(super) async fn open(&mut self, backlog: u64) -> Result<(), Failure> {
        let mut writer = MeterWriter::open(&self.database()).await?;
        let mut readings = self.metered.readings();
        let backlog = usize::try_from(backlog)?;
        let waiting: Vec<MeterReading> = readings.by_ref().take(backlog).collect();
        writer
            .insert_backlog(waiting, ROWS_AT_A_TIME, |_| {})
            .await?;
        self.meters = Some(Meters {
            writer,
            readings,
            next_measurement: Duration::ZERO,
        });
        Ok(())
    }

    /// Lets the meters measure, and the outage begin when its time has come.
    pub(super) async fn advance(
        &mut self,
        now: Duration,
        outage: Option<Duration>,
    ) -> Result<(), Failure> {
        if let Some(length) = outage.filter(|_| !self.outage_begun) {
            self.outage_begun = true;
            self.tell(
                now,
                format!("the Client System goes away for {} s", length.as_secs()),
            );
            self.client_system.set_down_for(length);
        }
        let Some(meters) = &mut self.meters else {
            return Ok(());
        };
        if now >= meters.next_measurement {
            meters.next_measurement = now + MEASURE_EVERY;
            meters.writer.insert(&meters.readings.next_tick()).await?;
        }
        Ok(())
    }

    /// Readings that wait in the Sync Database.
    pub(super) async fn waiting(&mut self) -> Result<u64, Failure> {
        match &mut self.meters {
            Some(meters) => Ok(meters.writer.left_behind().await?.0),
            None => Ok(0),
        }
    }

    pub(super) fn view(&mut self, status: &ServiceStatus, now: Duration) -> View {
        let written = self
            .meters
            .as_ref()
            .map_or(0, |meters| meters.writer.committed());
        let (stored, delivered) = self.client_system.delivered();
        self.note_events(status, now);
        self.largest_queue = if status.queue.pending == 0 {
            0
        } else {
            self.largest_queue.max(status.queue.pending)
        };
        View {
            elapsed: now,
            state: serde_json::to_value(status.state)
                .ok()
                .and_then(|state| state.as_str().map(ToOwned::to_owned))
                .unwrap_or_default(),
            reason: status.reason.clone(),
            is_connected: status.connectivity.is_connected,
            queue: status.queue.pending,
            // A bar for what waits for its time, or for the link, would only stand still.
            backlog: if status.state == State::Syncing {
                self.largest_queue
            } else {
                0
            },
            written,
            delivered,
            duplicates: stored - delivered,
            rate_per_second: self.rate(now, delivered),
            events: self.events.clone(),
        }
    }

    fn rate(&mut self, now: Duration, delivered: u64) -> f64 {
        self.rates.push_back((now, delivered));
        while self
            .rates
            .front()
            .is_some_and(|(at, _)| now.saturating_sub(*at) > RATE_WINDOW)
        {
            self.rates.pop_front();
        }
        let Some((first, before)) = self.rates.front() else {
            return 0.0;
        };
        let seconds = now.saturating_sub(*first).as_secs_f64();
        if seconds > 0.0 {
            (delivered - before) as f64 / seconds
        } else {
            0.0
        }
    }

    fn note_events(&mut self, status: &ServiceStatus, now: Duration) {
        let news: Vec<_> = status
            .recent_events
            .iter()
            .take_while(|event| Some(event.at.0) > self.last_told)
            .cloned()
            .collect();
        for event in news.iter().rev() {
            if let Some(text) = words(&event.kind) {
                self.tell(now, text);
            }
        }
        self.last_told = news.first().map(|event| event.at.0).or(self.last_told);
    }

    fn tell(&mut self, at: Duration, text: String) {
        self.events.push(Event { at, text });
    }

    /// Ends the meters and the Client System and settles the account.
    pub(super) async fn close(mut self) -> Result<Account, Failure> {
        let Some(mut meters) = self.meters.take() else {
            return Ok(Account::default());
        };
        let (queued, quarantined) = meters.writer.left_behind().await?;
        let ledger = self.client_system.ledger();
        let account = Account {
            generated: meters.writer.committed(),
            delivered: ledger.distinct_readings,
            queued,
            quarantined,
            duplicates: ledger.duplicates_after_key,
        };
        meters.writer.close().await?;
        Ok(account)
    }
}

/// What is worth a line in the view.
fn words(event: &crate::domain::event::EventKind) -> Option<String> {
    use crate::domain::{connectivity::LinkChange, event::EventKind};
    match event {
        EventKind::Link {
            change: LinkChange::Connected,
            reason,
        } => Some(match reason {
            Some(trouble) => format!("the Client System answers, but {trouble}"),
            None => "the Client System is reachable".to_owned(),
        }),
        EventKind::Link {
            change: LinkChange::Disconnected,
            reason,
        } => Some(format!(
            "the Client System is out of reach: {}",
            reason.as_deref().unwrap_or("no answer")
        )),
        EventKind::PassFinished(report) if report.delivered > 0 => Some(format!(
            "a pass delivered {}: {}",
            counted(report.delivered, "reading", "readings"),
            report.end.describe()
        )),
        EventKind::ActorRestarted { actor, failure } => {
            Some(format!("the {actor} was restarted: {failure}"))
        }
        EventKind::PassStarted { .. } | EventKind::PassFinished(_) => None,
    }
}

impl std::fmt::Debug for DemoSite {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let folder: &Path = &self.folder;
        formatter
            .debug_struct("DemoSite")
            .field("folder", &folder)
            .finish_non_exhaustive()
    }
}
