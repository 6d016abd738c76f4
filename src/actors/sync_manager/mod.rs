//! Decides when to synchronise, runs one pass at a time, and answers for how it goes.

mod decision;
mod delivery;
mod isolation;
mod pass;

use std::{
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use actix::{
    Actor, AsyncContext, Context, Handler, Recipient, ResponseFuture, SpawnHandle, Supervised,
};
use tokio::sync::{oneshot, watch};
use tracing::Span;

pub use self::delivery::DeliveryLine;
use self::pass::{Interruption, Pass, PassKit, Progress};
use super::{after, when_done};
use crate::{
    clock::Clock,
    domain::{
        connectivity::{ConnectivityStatus, LinkChange},
        event::EventKind,
        outcome::CallFailure,
        pass::{PassEnd, PassReport, PassTrigger},
        schedule::SiteSeed,
        status::{ConfigStatus, Effective, SyncStatus},
        timestamp::Timestamp,
    },
    messages::{
        api_client::{ApiClientSnapshot, Authenticate},
        connectivity_monitor::LinkChanged,
        events::EventBus,
        sync_manager::{
            ApplyWishes, CurrentPass, FreshReadings, StartSync, StopSync, SyncManagerSnapshot,
            TriggerRefusal, TriggerSync, TriggerSyncAndWait, WindDown,
        },
    },
    settings::SyncSettings,
    storage::SyncStore,
    supervision::{
        ask::{AskError, ask_within},
        backoff::extend,
        failure_points::FailurePoints,
        published::Published,
        supervisor::SupervisedActor,
    },
};

/// Announced readings start a pass at most this often.
const FRESH_PASS_EVERY: Duration = Duration::from_secs(30);
/// While uploading pauses, the key is tried this often.
const PROBE_EVERY: Duration = Duration::from_secs(300);
/// After a failure of the database or of a part of the service the next pass comes this soon.
const AFTER_FAILURE: Duration = Duration::from_secs(10);
/// Below this share of the requests that the server allows, announced readings wait for the schedule.
const SCARCE_REQUESTS: f64 = 0.2;

/// Counts that outlive the actor's restarts, and its switch.
#[derive(Debug, Default)]
pub struct SyncCounters {
    /// Readings uploaded since the process started.
    pub synced: AtomicU64,
    /// Readings in batches that were given up for a pass.
    pub failed: AtomicU64,
    passes: AtomicU64,
}

/// What the sync manager is built from.
#[derive(Clone)]
pub struct SyncManagerParts {
    /// Its settings.
    pub settings: SyncSettings,
    /// How long an upload may take.
    pub upload_timeout: Duration,
    /// What an earlier configuration download asked for.
    pub wishes: ApplyWishes,
    /// Spreads sites over the interval.
    pub seed: SiteSeed,
    /// The time.
    pub clock: Clock,
    /// The Sync Database, for reading.
    pub store: Arc<dyn SyncStore>,
    /// Whom a pass talks to.
    pub line: DeliveryLine,
    /// Tries the key.
    pub authenticate: Recipient<Authenticate>,
    /// The one truth about the link.
    pub connectivity: Published<ConnectivityStatus>,
    /// The server's wishes for pauses.
    pub api_snapshot: Published<ApiClientSnapshot>,
    /// Where passes are told to people.
    pub events: EventBus,
    /// Counts that outlive restarts.
    pub counters: Arc<SyncCounters>,
    /// Where the status is published.
    pub status: Published<SyncStatus>,
    /// Where everything else is published.
    pub published: Published<SyncManagerSnapshot>,
    /// Where the schedule in force is shown beside the Client System's wishes.
    pub config_status: Published<ConfigStatus>,
    /// Planned failures.
    pub failure_points: FailurePoints,
}

/// The sync manager.
pub struct SyncManager {
    parts: SyncManagerParts,
    state: State,
}

struct State {
    running: bool,
    winding_down: bool,
    pass: Option<u64>,
    interruption: watch::Sender<Interruption>,
    /// Who waits for the end of the pass under way.
    joined: Vec<oneshot::Sender<PassReport>>,
    /// Who waits for the pass after that.
    waiting: Vec<oneshot::Sender<PassReport>>,
    follow_up: Option<PassTrigger>,
    last_pass_ended: Option<Duration>,
    schedule: Option<SpawnHandle>,
    retry: Option<SpawnHandle>,
    fresh: Option<SpawnHandle>,
    wishes: ApplyWishes,
}

impl State {
    fn new(parts: &SyncManagerParts) -> Self {
        Self {
            // An operator's stop outlives a restart of the actor; the published word is the memory of it.
            running: parts
                .published
                .read(|snapshot| snapshot.stopped_since.is_none()),
            winding_down: false,
            pass: None,
            interruption: watch::Sender::new(Interruption::None),
            joined: Vec::new(),
            waiting: Vec::new(),
            follow_up: None,
            last_pass_ended: None,
            schedule: None,
            retry: None,
            fresh: None,
            wishes: parts.wishes,
        }
    }
}

impl SyncManager {
    /// A manager that has not run a pass yet.
    pub fn new(parts: SyncManagerParts) -> Self {
        let state = State::new(&parts);
        Self { parts, state }
    }

    fn now(&self) -> Timestamp {
        self.parts.clock.now().into()
    }

    fn interval(&self) -> Duration {
        let wanted = self
            .state
            .wishes
            .sync_interval_minutes
            .filter(|_| !self.parts.settings.pinned_interval);
        wanted.map_or(self.parts.settings.interval, |minutes| {
            Duration::from_secs(u64::from(minutes) * 60)
        })
    }

    fn batch_size(&self) -> usize {
        let wanted = self
            .state
            .wishes
            .batch_size
            .filter(|_| !self.parts.settings.pinned_batch_size);
        wanted.unwrap_or(self.parts.settings.batch_size)
    }

    /// Starts a pass, or says why not.
    fn start_pass(
        &mut self,
        trigger: PassTrigger,
        span: Span,
        context: &mut Context<Self>,
    ) -> Result<u64, TriggerRefusal> {
        self.check_start(trigger)?;
        let id = self.parts.counters.passes.fetch_add(1, Ordering::Relaxed) + 1;
        self.state.pass = Some(id);
        self.state.interruption.send_replace(Interruption::None);
        let pass = Pass::new(self.kit(id, trigger, span));
        when_done(pass.run(), context, Self::finish_pass);
        self.parts
            .events
            .tell(self.now(), EventKind::PassStarted { id, trigger });
        let started_at = self.now();
        self.parts.published.update(|snapshot| {
            snapshot.current_pass = Some(CurrentPass {
                id,
                started_at,
                delivered: 0,
            })
        });
        tracing::debug!(pass = id, ?trigger, "a sync pass started");
        Ok(id)
    }

    fn check_start(&self, trigger: PassTrigger) -> Result<(), TriggerRefusal> {
        if !self.state.running || self.state.winding_down {
            return Err(TriggerRefusal::Stopped);
        }
        if self.state.pass.is_some() {
            return Err(TriggerRefusal::AlreadyRunning);
        }
        if let Some(words) = self.offline() {
            return Err(TriggerRefusal::Offline(words));
        }
        let now = self.now();
        match self
            .parts
            .api_snapshot
            .read(|snapshot| snapshot.held_until)
            .filter(|until| *until > now)
        {
            Some(until) if trigger != PassTrigger::HoldEnded => Err(TriggerRefusal::Held(until)),
            _ => Ok(()),
        }
    }

    /// Nothing is known before the first evidence; then a pass itself finds out.
    fn offline(&self) -> Option<String> {
        self.parts.connectivity.read(|link| {
            let down = !link.is_connected && link.consecutive_failures > 0;
            down.then(|| {
                link.last_error
                    .clone()
                    .unwrap_or_else(|| "no answer".to_owned())
            })
        })
    }

    fn kit(&self, id: u64, trigger: PassTrigger, span: Span) -> PassKit {
        let (counters, published) = (self.parts.counters.clone(), self.parts.published.clone());
        let status = self.parts.status.clone();
        let on_progress = move |progress: Progress, delivered: u64, failed: u64| {
            let synced = counters.synced.fetch_add(delivered, Ordering::Relaxed) + delivered;
            let failed = counters.failed.fetch_add(failed, Ordering::Relaxed) + failed;
            published.update(|snapshot| {
                if let Some(current) = &mut snapshot.current_pass {
                    current.delivered = progress.delivered;
                }
                // The server takes readings again, whatever it said before.
                if delivered > 0 {
                    snapshot.pause = None;
                }
            });
            status.update(|status| (status.total_synced, status.total_failed) = (synced, failed));
        };
        PassKit {
            id,
            trigger,
            clock: self.parts.clock.clone(),
            store: self.parts.store.clone(),
            line: self.parts.line.clone(),
            interruption: self.state.interruption.subscribe(),
            batch_size: self.batch_size(),
            max_retries: self.parts.settings.max_retries,
            timeout: self.parts.upload_timeout,
            span,
            on_progress: Rc::new(on_progress),
        }
    }

    fn finish_pass(report: PassReport, manager: &mut Self, context: &mut Context<Self>) {
        manager
            .parts
            .failure_points
            .pass("sync_manager.finish_pass");
        manager.state.pass = None;
        manager.state.last_pass_ended = Some(manager.parts.clock.elapsed());
        manager.log_end(&report);
        manager.publish_end(&report);
        manager
            .parts
            .events
            .tell(report.finished_at, EventKind::PassFinished(report.clone()));
        for joined in manager.state.joined.drain(..) {
            // Whoever asked may have gone.
            let _ = joined.send(report.clone());
        }
        manager.follow(&report, context);
    }

    fn log_end(&self, report: &PassReport) {
        let PassReport {
            id,
            delivered,
            quarantined,
            failed,
            requests,
            ..
        } = *report;
        if report.end.is_success() {
            tracing::info!(
                pass = id,
                delivered,
                quarantined,
                requests,
                "a sync pass ended"
            );
        } else {
            let reason = report.end.describe();
            tracing::warn!(
                pass = id,
                delivered,
                quarantined,
                failed,
                requests,
                reason,
                "a sync pass ended early"
            );
        }
    }

    fn publish_end(&self, report: &PassReport) {
        let success = report.end.is_success();
        self.parts.status.update(|status| {
            status.last_sync_time = Some(report.finished_at);
            status.last_sync_success = Some(success);
            status.last_sync_error = (!success).then(|| report.end.describe());
        });
        self.parts.published.update(|snapshot| {
            snapshot.current_pass = None;
            snapshot.last_pass = Some(report.clone());
            note_lasting_troubles(snapshot, report);
        });
    }

    /// What comes after a pass depends on how it ended.
    fn follow(&mut self, report: &PassReport, context: &mut Context<Self>) {
        let follow_up = self.state.follow_up.take();
        self.state.joined.append(&mut self.state.waiting);
        if !self.state.joined.is_empty() {
            // A refusal has the report that is at hand for an answer, below.
            let _ = self.start_pass(PassTrigger::Manual, Span::none(), context);
        } else if let Some(trigger) = follow_up {
            self.start_by_itself(trigger, context);
        }
        if self.state.pass.is_some() {
            return;
        }
        // What stands against the next pass stands, so it is this one's end that says when to try again.
        self.answer_joined(report);
        match &report.end {
            PassEnd::Held { until } => self.retry_at(*until, context),
            PassEnd::Unauthorized { .. } | PassEnd::Misconfigured { .. } => {
                self.probe_later(context)
            }
            PassEnd::DatabaseFailed { .. } | PassEnd::Interrupted { .. } => {
                self.retry_after(AFTER_FAILURE, PassTrigger::Schedule, context)
            }
            PassEnd::Drained
            | PassEnd::Stopped
            | PassEnd::Offline { .. }
            | PassEnd::GivenUp { .. } => {}
        }
    }

    fn answer_joined(&mut self, report: &PassReport) {
        for joined in self.state.joined.drain(..) {
            // Whoever asked may have gone.
            let _ = joined.send(report.clone());
        }
    }

    fn retry_at(&mut self, until: Timestamp, context: &mut Context<Self>) {
        let pause = (until.0 - self.parts.clock.now())
            .to_std()
            .unwrap_or(Duration::ZERO);
        self.retry_after(
            extend(pause, rand::random::<f64>() * 0.1) + Duration::from_millis(1),
            PassTrigger::HoldEnded,
            context,
        );
    }

    fn retry_after(&mut self, delay: Duration, trigger: PassTrigger, context: &mut Context<Self>) {
        if let Some(previous) = self.state.retry.take() {
            context.cancel_future(previous);
        }
        self.state.retry = Some(after(
            &self.parts.clock,
            delay,
            context,
            move |manager, context| manager.start_by_itself(trigger, context),
        ));
    }

    fn probe_later(&mut self, context: &mut Context<Self>) {
        if let Some(previous) = self.state.retry.take() {
            context.cancel_future(previous);
        }
        let delay = extend(PROBE_EVERY, rand::random());
        self.state.retry = Some(after(&self.parts.clock, delay, context, Self::probe));
    }

    fn probe(&mut self, context: &mut Context<Self>) {
        if !self.state.running || self.paused().is_none() {
            return;
        }
        let (authenticate, patience) = (
            self.parts.authenticate.clone(),
            self.parts.upload_timeout + AFTER_FAILURE,
        );
        let work = async move { ask_within(&authenticate, Authenticate, patience).await };
        when_done(
            work,
            context,
            |result: Result<Result<(), CallFailure>, AskError>, manager, context| match result {
                Ok(Ok(())) => manager.start_by_itself(PassTrigger::Probe, context),
                _ => manager.probe_later(context),
            },
        );
    }

    fn paused(&self) -> Option<PassEnd> {
        self.parts
            .published
            .read(|snapshot| snapshot.pause.as_ref().map(|(end, _)| end.clone()))
    }

    /// Starts a pass that nobody asked for, unless something stands against it.
    fn start_by_itself(&mut self, trigger: PassTrigger, context: &mut Context<Self>) {
        if !self.parts.settings.auto || (self.paused().is_some() && trigger != PassTrigger::Probe) {
            tracing::debug!(
                ?trigger,
                "no sync pass: only a person or a probe starts one now"
            );
            return;
        }
        match self.start_pass(trigger, Span::none(), context) {
            Ok(_) => {}
            // What came in while a pass runs may have come too late for it.
            Err(TriggerRefusal::AlreadyRunning) if trigger == PassTrigger::Connected => {
                self.state.follow_up = Some(trigger)
            }
            // After a restart nobody else remembers to go on once the pause is over.
            Err(TriggerRefusal::Held(until)) => self.retry_at(until, context),
            Err(refusal) => tracing::debug!(?trigger, reason = %refusal, "no sync pass"),
        }
    }

    fn arm_schedule(&mut self, context: &mut Context<Self>) {
        if let Some(previous) = self.state.schedule.take() {
            context.cancel_future(previous);
        }
        let delay = self
            .parts
            .seed
            .until_due("sync", self.interval(), self.parts.clock.now());
        self.state.schedule = Some(after(
            &self.parts.clock,
            delay,
            context,
            |manager, context| {
                manager.parts.failure_points.pass("sync_manager.timer");
                manager.start_by_itself(PassTrigger::Schedule, context);
                manager.arm_schedule(context);
            },
        ));
    }

    fn publish_settings(&self) {
        let (running, minutes) = (self.state.running, self.interval().as_secs() / 60);
        self.parts
            .status
            .update(|status| status.is_running = running);
        self.parts.published.update(|snapshot| {
            snapshot.running = running;
            snapshot.interval_minutes = minutes;
        });
        let (settings, wishes) = (&self.parts.settings, self.state.wishes);
        self.parts.config_status.update(|config| {
            config.sync_interval_minutes = Effective {
                value: minutes,
                pinned: settings.pinned_interval,
                wanted: wishes.sync_interval_minutes.map(u64::from),
            };
            config.batch_size = Effective {
                value: self.batch_size(),
                pinned: settings.pinned_batch_size,
                wanted: wishes.batch_size,
            };
        });
    }

    fn requests_are_scarce(&self) -> bool {
        self.parts.api_snapshot.read(|snapshot| {
            match (snapshot.requests_remaining, snapshot.requests_limit) {
                (Some(remaining), Some(limit)) => {
                    (remaining as f64) < limit as f64 * SCARCE_REQUESTS
                }
                _ => false,
            }
        })
    }

    fn interrupt(&self, interruption: Interruption) {
        self.state.interruption.send_replace(interruption);
    }
}

/// Pauses and failures last over passes, with the time at which they began.
fn note_lasting_troubles(snapshot: &mut SyncManagerSnapshot, report: &PassReport) {
    let began = |earlier: Option<(PassEnd, Timestamp)>| {
        earlier.map_or(report.finished_at, |(_, since)| since)
    };
    match &report.end {
        PassEnd::Unauthorized { .. } | PassEnd::Misconfigured { .. } => {
            snapshot.pause = Some((report.end.clone(), began(snapshot.pause.take())));
        }
        PassEnd::GivenUp { .. } | PassEnd::DatabaseFailed { .. } | PassEnd::Interrupted { .. } => {
            snapshot.failing_since =
                Some((report.end.clone(), began(snapshot.failing_since.take())));
        }
        PassEnd::Drained => {
            snapshot.pause = None;
            snapshot.failing_since = None;
        }
        PassEnd::Stopped | PassEnd::Offline { .. } | PassEnd::Held { .. } => {}
    }
}

impl Actor for SyncManager {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        self.parts
            .published
            .update(|snapshot| snapshot.current_pass = None);
        self.publish_settings();
        self.arm_schedule(context);
        match self.paused() {
            Some(_) => self.probe_later(context),
            None => self.start_by_itself(PassTrigger::StartUp, context),
        }
    }
}

impl Supervised for SyncManager {
    fn restarting(&mut self, _: &mut Self::Context) {
        let wishes = self.state.wishes;
        self.state = State::new(&self.parts);
        self.state.wishes = wishes;
    }
}

impl SupervisedActor for SyncManager {
    const NAME: &'static str = "sync_manager";
}

impl Handler<StartSync> for SyncManager {
    type Result = bool;

    fn handle(&mut self, _: StartSync, context: &mut Self::Context) -> bool {
        self.parts.failure_points.pass("sync_manager.handler");
        if self.state.running {
            return false;
        }
        self.state.running = true;
        self.parts
            .published
            .update(|snapshot| snapshot.stopped_since = None);
        self.publish_settings();
        self.interrupt(Interruption::None);
        tracing::info!("synchronisation was started");
        self.start_by_itself(PassTrigger::StartUp, context);
        true
    }
}

impl Handler<StopSync> for SyncManager {
    type Result = bool;

    fn handle(&mut self, _: StopSync, _: &mut Self::Context) -> bool {
        self.parts.failure_points.pass("sync_manager.handler");
        if !self.state.running {
            return false;
        }
        self.state.running = false;
        let now = self.now();
        self.parts
            .published
            .update(|snapshot| snapshot.stopped_since = Some(now));
        self.publish_settings();
        self.interrupt(Interruption::Stop);
        tracing::info!("synchronisation was stopped; readings are kept");
        true
    }
}

impl Handler<TriggerSync> for SyncManager {
    type Result = Result<u64, TriggerRefusal>;

    fn handle(&mut self, message: TriggerSync, context: &mut Self::Context) -> Self::Result {
        self.parts.failure_points.pass("sync_manager.trigger");
        self.start_pass(PassTrigger::Manual, message.span, context)
    }
}

impl Handler<TriggerSyncAndWait> for SyncManager {
    type Result = ResponseFuture<Result<PassReport, TriggerRefusal>>;

    fn handle(&mut self, message: TriggerSyncAndWait, context: &mut Self::Context) -> Self::Result {
        self.parts.failure_points.pass("sync_manager.trigger");
        let (sender, receiver) = oneshot::channel();
        match self.start_pass(PassTrigger::Manual, message.span, context) {
            Ok(_) => self.state.joined.push(sender),
            // The pass under way may have looked at the queue before the latest readings came.
            Err(TriggerRefusal::AlreadyRunning) => self.state.waiting.push(sender),
            Err(refusal) => return Box::pin(std::future::ready(Err(refusal))),
        }
        Box::pin(async move { receiver.await.map_err(|_| TriggerRefusal::Restarted) })
    }
}

impl Handler<FreshReadings> for SyncManager {
    type Result = ();

    fn handle(&mut self, _: FreshReadings, context: &mut Self::Context) {
        self.parts
            .failure_points
            .pass("sync_manager.fresh_readings");
        if self.state.pass.is_some() || self.state.fresh.is_some() || self.requests_are_scarce() {
            return;
        }
        let since_last = self
            .state
            .last_pass_ended
            .map(|ended| self.parts.clock.elapsed().saturating_sub(ended));
        let delay = since_last.map_or(Duration::ZERO, |since| {
            FRESH_PASS_EVERY.saturating_sub(since)
        });
        self.state.fresh = Some(after(
            &self.parts.clock,
            delay,
            context,
            |manager, context| {
                manager.state.fresh = None;
                manager.start_by_itself(PassTrigger::FreshReadings, context);
            },
        ));
    }
}

impl Handler<LinkChanged> for SyncManager {
    type Result = ();

    fn handle(&mut self, LinkChanged(change): LinkChanged, context: &mut Self::Context) {
        self.parts.failure_points.pass("sync_manager.link_changed");
        match change {
            LinkChange::Connected => {
                self.state.interruption.send_if_modified(|interruption| {
                    let was_offline = matches!(interruption, Interruption::Offline(_));
                    if was_offline {
                        *interruption = Interruption::None;
                    }
                    was_offline
                });
                self.start_by_itself(PassTrigger::Connected, context);
            }
            LinkChange::Disconnected => {
                let words = self.offline().unwrap_or_else(|| "no answer".to_owned());
                if self.state.running {
                    self.interrupt(Interruption::Offline(words));
                }
            }
        }
    }
}

impl Handler<ApplyWishes> for SyncManager {
    type Result = ();

    fn handle(&mut self, wishes: ApplyWishes, context: &mut Self::Context) {
        self.parts.failure_points.pass("sync_manager.wishes");
        let interval_before = self.interval();
        self.state.wishes = wishes;
        self.parts.wishes = wishes;
        self.publish_settings();
        if self.interval() != interval_before {
            self.arm_schedule(context);
        }
    }
}

impl Handler<WindDown> for SyncManager {
    type Result = ();

    fn handle(&mut self, _: WindDown, _: &mut Self::Context) {
        self.state.winding_down = true;
        self.interrupt(Interruption::Stop);
    }
}
