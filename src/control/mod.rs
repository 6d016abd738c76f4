//! Every operator action, once, as typed methods. HTTP and whatever else serves operators is thin over it.

mod causes;
mod error;
mod health;
mod hindrances;
mod ingestion;
mod problem_kind;
mod quarantine;
mod reads;
mod standing;
mod status;
mod words;

#[cfg(test)]
pub(crate) mod testing;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use actix::{Message, Recipient};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tracing::Span;

use crate::{
    clock::Clock,
    domain::{
        access::{RefusedCalls, Rejection},
        answer::{EffectiveSettings, Switched},
        connectivity::ConnectivityStatus,
        meter::MeterChanges,
        outcome::CallFailure,
        pass::{PassEnd, PassReport},
        status::{ConfigStatus, HeartbeatStatus, SyncStatus},
        timestamp::Timestamp,
    },
    messages::{
        api_client::ApiClientSnapshot,
        config_downloader::{DownloadFailure, DownloadNow},
        connectivity_monitor::{CheckAnswer, ForceCheck},
        database_writer::{
            CorrectQuarantined, DatabaseSnapshot, DiscardQuarantined, InsertReadings,
            RequeueQuarantined,
        },
        events::{EventBus, Listening},
        heartbeat::SendHeartbeat,
        sync_manager::{
            StartSync, StopSync, SyncManagerSnapshot, TriggerRefusal, TriggerSync,
            TriggerSyncAndWait,
        },
    },
    storage::SyncStore,
    supervision::{
        ask::{PATIENCE, ask_within},
        board::Board,
        published::Published,
    },
};

use self::{reads::Questions, standing::Standing};
pub use error::{ControlError, ReadingProblem};
pub use health::Health;
pub use ingestion::{
    BodyFormat, IncomingLines, MOST_BYTES, MOST_READINGS, parse as parse_readings,
};
pub use problem_kind::ProblemKind;
pub use quarantine::{Selection, Target};

/// Each holds a connection and is told everything.
const MOST_WATCHERS: usize = 64;

/// How long the different kinds of questions may wait for their answer.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Questions that an actor answers from memory, and the storing of readings.
    pub short: Duration,
    /// Reads of the Sync Database and actions on many quarantined readings.
    pub database: Duration,
    /// Questions that take a call to the Client System.
    pub call: Duration,
    /// A pass that somebody waits for.
    pub pass: Duration,
}

impl Patience {
    /// For a Client System that is given `call_timeout` for every answer. A call may wait for one that is under
    /// way already, hence the double.
    pub fn for_calls_of(call_timeout: Duration) -> Self {
        Self {
            short: PATIENCE,
            database: Duration::from_secs(30),
            call: call_timeout.saturating_mul(2).saturating_add(PATIENCE),
            // Uploading what an outage of weeks left behind takes its time; whoever asked may leave earlier.
            pass: Duration::from_secs(7 * 24 * 3600),
        }
    }
}

/// What an operator's actions and questions reach. The wiring fills it in.
pub struct Parts {
    /// The sync manager.
    pub start_sync: Recipient<StartSync>,
    /// The sync manager.
    pub stop_sync: Recipient<StopSync>,
    /// The sync manager.
    pub trigger_sync: Recipient<TriggerSync>,
    /// The sync manager.
    pub trigger_sync_and_wait: Recipient<TriggerSyncAndWait>,
    /// The connectivity monitor.
    pub force_check: Recipient<ForceCheck>,
    /// The heartbeat.
    pub send_heartbeat: Recipient<SendHeartbeat>,
    /// The configuration downloader.
    pub download_now: Recipient<DownloadNow>,
    /// The database writer.
    pub insert_readings: Recipient<InsertReadings>,
    /// The database writer.
    pub requeue_quarantined: Recipient<RequeueQuarantined>,
    /// The database writer.
    pub correct_quarantined: Recipient<CorrectQuarantined>,
    /// The database writer.
    pub discard_quarantined: Recipient<DiscardQuarantined>,

    /// Published by the sync manager; the queue's size and the link are filled in from elsewhere.
    pub sync_status: Published<SyncStatus>,
    /// Published by the sync manager.
    pub sync_manager: Published<SyncManagerSnapshot>,
    /// Published by the connectivity monitor.
    pub connectivity: Published<ConnectivityStatus>,
    /// Published by the API client.
    pub api_client: Published<ApiClientSnapshot>,
    /// Published by the database writer.
    pub database: Published<DatabaseSnapshot>,
    /// Published by the heartbeat.
    pub heartbeat: Published<HeartbeatStatus>,
    /// Published by the configuration downloader.
    pub config: Published<ConfigStatus>,
    /// Published by whoever has read them.
    pub settings: Published<EffectiveSettings>,
    /// Published by whoever shows the certificate of the local API: until when it is valid, where there is one.
    pub certificate_expires: Published<Option<Timestamp>>,

    /// How the actors fare.
    pub board: Board,
    /// What happens.
    pub events: EventBus,
    /// Where "now" comes from.
    pub clock: Clock,
    /// The Sync Database, for reads only.
    pub store: Arc<dyn SyncStore>,
    /// When the process started.
    pub started_at: Timestamp,
    /// Whether passes start by themselves (ENABLE_AUTO_SYNC).
    pub automatic: bool,
    /// How long questions may wait.
    pub patience: Patience,
}

/// The operator's hand on the service. Cheap to clone; all clones reach the same service.
#[derive(Clone)]
pub struct Control {
    parts: Arc<Parts>,
    /// On the clock that never goes backwards, so that a corrected time of day does not bend the uptime.
    started: Duration,
    watchers: Arc<Semaphore>,
    questions: Arc<Questions>,
    standing: Arc<Standing>,
    refused_calls: Arc<Mutex<RefusedCalls>>,
}

/// Events, heard for as long as somebody listens.
pub struct Watch {
    /// What is heard.
    pub events: Listening,
    _permit: OwnedSemaphorePermit,
}

impl Control {
    /// Takes the parts over; to be called when the process starts, for the uptime counts from here.
    pub fn new(parts: Parts) -> Self {
        let started = parts.clock.elapsed();
        Self {
            parts: Arc::new(parts),
            started,
            watchers: Arc::new(Semaphore::new(MOST_WATCHERS)),
            questions: Arc::default(),
            standing: Arc::default(),
            refused_calls: Arc::default(),
        }
    }

    /// Starts synchronisation.
    ///
    /// # Errors
    /// When the sync manager does not answer.
    pub async fn start_sync(&self) -> Result<Switched, ControlError> {
        let changed = self
            .ask(&self.parts.start_sync, StartSync, self.parts.patience.short)
            .await?;
        Ok(Switched {
            is_running: true,
            changed,
        })
    }

    /// Stops synchronisation; readings stay in the Sync Database.
    ///
    /// # Errors
    /// When the sync manager does not answer.
    pub async fn stop_sync(&self) -> Result<Switched, ControlError> {
        let changed = self
            .ask(&self.parts.stop_sync, StopSync, self.parts.patience.short)
            .await?;
        Ok(Switched {
            is_running: false,
            changed,
        })
    }

    /// Starts a pass and answers with its number, without waiting for its end.
    ///
    /// # Errors
    /// When one runs, synchronisation is stopped, the Client System is offline or wants to be left alone, or
    /// the sync manager does not answer.
    pub async fn trigger_sync(&self) -> Result<u64, ControlError> {
        let message = TriggerSync {
            span: Span::current(),
        };
        self.ask(&self.parts.trigger_sync, message, self.parts.patience.short)
            .await?
            .map_err(|refusal| self.refused(refusal))
    }

    /// Joins the pass that runs, if any, and uploads all that was committed before this call.
    ///
    /// # Errors
    /// As [`Control::trigger_sync`], and [`ControlError::PassFailed`] when the pass ended with readings left.
    pub async fn trigger_sync_and_wait(&self) -> Result<PassReport, ControlError> {
        let message = TriggerSyncAndWait {
            span: Span::current(),
        };
        let report = self
            .ask(
                &self.parts.trigger_sync_and_wait,
                message,
                self.parts.patience.pass,
            )
            .await?
            .map_err(|refusal| self.refused(refusal))?;
        if report.end.is_success() {
            return Ok(report);
        }
        let wait = match &report.end {
            PassEnd::Held { until } => Some(self.wait_until(*until)),
            _ => None,
        };
        Err(ControlError::PassFailed {
            report: Box::new(report),
            wait,
        })
    }

    /// Waits until more readings than `known` were uploaded since the process started, and answers with their number.
    pub async fn uploaded_beyond(&self, known: u64) -> u64 {
        let status = self
            .parts
            .sync_status
            .wait_until(|status| status.total_synced > known);
        status.await.total_synced
    }

    /// Checks now whether the Client System can be reached. That it cannot is an answer, not an error.
    ///
    /// # Errors
    /// When all calls are held at the Client System's wish, or the monitor does not answer.
    pub async fn check_connectivity(&self) -> Result<ConnectivityStatus, ControlError> {
        let answer = self
            .ask(
                &self.parts.force_check,
                ForceCheck,
                self.parts.patience.call,
            )
            .await?;
        match answer {
            CheckAnswer::Checked(status) => Ok(self.with_current_times(status)),
            CheckAnswer::HeldUntil(until) => Err(self.held(until)),
        }
    }

    /// Sends a heartbeat now.
    ///
    /// # Errors
    /// When the Client System does not take it, or the heartbeat does not answer.
    pub async fn send_heartbeat(&self) -> Result<HeartbeatStatus, ControlError> {
        self.ask(
            &self.parts.send_heartbeat,
            SendHeartbeat,
            self.parts.patience.call,
        )
        .await?
        .map_err(|failure| self.call_failed(failure))
    }

    /// Downloads and applies the configuration now; on an error the last good one stays in force.
    ///
    /// # Errors
    /// When the download fails, cannot be written down, or the downloader does not answer.
    pub async fn download_config(&self) -> Result<MeterChanges, ControlError> {
        self.ask(
            &self.parts.download_now,
            DownloadNow,
            self.parts.patience.call,
        )
        .await?
        .map_err(|failure| match failure {
            DownloadFailure::Call(failure) => self.call_failed(failure),
            DownloadFailure::Store(failure) => failure.into(),
            DownloadFailure::Unavailable(words) => ControlError::Unavailable(words),
        })
    }

    /// The settings in force.
    pub fn settings(&self) -> EffectiveSettings {
        self.parts.settings.get()
    }

    /// All events from now on, and those since the one that is named, where somebody comes back to ask for them.
    ///
    /// # Errors
    /// While too many watch already.
    pub fn watch(&self, last_seen: Option<&str>) -> Result<Watch, ControlError> {
        let permit = self.watchers.clone().try_acquire_owned();
        let permit = permit.map_err(|_| ControlError::TooManyWatchers(MOST_WATCHERS))?;
        Ok(Watch {
            events: self.parts.events.listen_after(last_seen),
            _permit: permit,
        })
    }

    /// Notes that a call was refused before it came here.
    pub fn note_refused_call(&self, rejection: Rejection) {
        let now = self.now();
        let refused = self.refused_calls.lock();
        refused
            .unwrap_or_else(PoisonError::into_inner)
            .count(rejection, now);
    }

    /// How many calls were refused before they came here.
    pub fn refused_calls(&self) -> RefusedCalls {
        let refused = self.refused_calls.lock();
        *refused.unwrap_or_else(PoisonError::into_inner)
    }

    /// Where "now" comes from.
    pub fn clock(&self) -> &Clock {
        &self.parts.clock
    }

    async fn ask<M>(
        &self,
        recipient: &Recipient<M>,
        message: M,
        patience: Duration,
    ) -> Result<M::Result, ControlError>
    where
        M: Message + Send + 'static,
        M::Result: Send,
    {
        Ok(ask_within(recipient, message, patience).await?)
    }

    fn now(&self) -> Timestamp {
        self.parts.clock.now().into()
    }

    fn wait_until(&self, until: Timestamp) -> Duration {
        Duration::from_secs_f64(until.seconds_since(self.now()))
    }

    fn held(&self, until: Timestamp) -> ControlError {
        ControlError::Held {
            until,
            wait: self.wait_until(until),
        }
    }

    fn refused(&self, refusal: TriggerRefusal) -> ControlError {
        match refusal {
            TriggerRefusal::Held(until) => self.held(until),
            other => ControlError::Refused(other),
        }
    }

    fn call_failed(&self, failure: CallFailure) -> ControlError {
        match failure {
            CallFailure::Held(until) => self.held(until),
            other => ControlError::Call(other),
        }
    }
}
