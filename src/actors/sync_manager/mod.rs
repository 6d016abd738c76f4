//! Decides when to synchronise, runs one pass at a time, and answers for how it goes.

mod decision;
mod delivery;
mod fitting_size;
mod fresh_turns;
mod handlers;
mod isolation;
mod kit;
mod pass;
mod publishing;
mod timing;
mod unsettled;

use std::{cell::Cell, rc::Rc, sync::Arc, time::Duration};

use actix::{Actor, Context, Recipient, SpawnHandle, Supervised};
use tokio::sync::{oneshot, watch};
use tracing::Span;

pub use self::delivery::DeliveryLine;
use self::{
    kit::{Interruption, Limits, PassKit, Progress as PassProgress, longest_step},
    pass::{Finished, Pass},
    publishing::note_setback,
    unsettled::Unsettled,
};
use super::{after, after_instead, when_done};
use crate::{
    clock::Clock,
    domain::{
        connectivity::ConnectivityStatus,
        event::EventKind,
        pass::{PassReport, PassTrigger},
        schedule::SiteSeed,
        status::{ConfigStatus, SyncStatus},
        timestamp::Timestamp,
    },
    messages::{
        api_client::{ApiClientSnapshot, Authenticate},
        events::EventBus,
        sync_manager::{ApplyWishes, CurrentPass, Setback, SyncManagerSnapshot, TriggerRefusal},
    },
    settings::SyncSettings,
    storage::SyncStore,
    supervision::{
        failure_points::FailurePoints, progress::Progress, published::Published,
        supervisor::SupervisedActor,
    },
};

/// What outlives the actor's restarts, though not the process.
#[derive(Debug, Default)]
pub struct SyncMemory {
    passes: Cell<u64>,
    /// The server accepted something since suspects were last condemned.
    server_accepts: Rc<Cell<bool>>,
    unsettled: Rc<Unsettled>,
}

/// What the sync manager is built from.
#[derive(Clone)]
pub struct SyncManagerParts {
    /// Its settings.
    pub settings: Published<SyncSettings>,
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
    /// What outlives restarts.
    pub memory: Rc<SyncMemory>,
    /// Where the status is published.
    pub status: Published<SyncStatus>,
    /// Where everything else is published.
    pub published: Published<SyncManagerSnapshot>,
    /// Where the schedule in force is shown beside the Client System's wishes.
    pub config_status: Published<ConfigStatus>,
    /// What it has in hand.
    pub progress: Progress,
    /// Planned failures.
    pub failure_points: FailurePoints,
}

/// The sync manager.
pub struct SyncManager {
    parts: SyncManagerParts,
    state: State,
}

type Waiter = oneshot::Sender<Result<PassReport, TriggerRefusal>>;

struct State {
    running: bool,
    winding_down: bool,
    pass: Option<u64>,
    interruption: watch::Sender<Interruption>,
    /// Who waits for the end of the pass under way.
    joined: Vec<Waiter>,
    /// Who waits for the pass after that.
    waiting: Vec<Waiter>,
    /// The pass that those in `joined` waited for before the one under way.
    carried: Option<PassReport>,
    follow_up: Option<PassTrigger>,
    /// When announced readings last started a pass.
    last_fresh_pass: Option<Duration>,
    schedule: Option<SpawnHandle>,
    retry: Option<SpawnHandle>,
    fresh: Option<SpawnHandle>,
    /// Passes in a row that failed for the database or a part of the service, without delivering anything.
    failed_passes: u32,
    /// Passes in a row that were given up without delivering anything.
    fruitless_passes: u32,
    /// Readings were announced while a pass ran, perhaps too late for it.
    fresh_since_start: bool,
    wishes: ApplyWishes,
    /// What passes keep to; the one under way as well.
    limits: Rc<Cell<Limits>>,
    /// Whether somebody waits for the pass under way to end; it looks at this when it claims.
    is_awaited: Rc<Cell<bool>>,
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
            carried: None,
            follow_up: None,
            last_fresh_pass: None,
            schedule: None,
            retry: None,
            fresh: None,
            failed_passes: 0,
            fruitless_passes: 0,
            fresh_since_start: false,
            wishes: parts.wishes,
            limits: Rc::default(),
            is_awaited: Rc::default(),
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
        let settings = self.parts.settings.get();
        let wanted = self.state.wishes.sync_interval_minutes;
        wanted
            .filter(|_| !settings.pinned_interval)
            .map_or(settings.interval, |minutes| {
                Duration::from_secs(u64::from(minutes) * 60)
            })
    }

    fn batch_size(&self) -> usize {
        let settings = self.parts.settings.get();
        let wanted = self.state.wishes.batch_size;
        let most = settings.batch_size_max.unwrap_or(usize::MAX);
        wanted
            .filter(|_| !settings.pinned_batch_size)
            .unwrap_or(settings.batch_size)
            .min(most)
    }

    /// Starts a pass, or says why not.
    fn start_pass(
        &mut self,
        trigger: PassTrigger,
        span: Span,
        context: &mut Context<Self>,
    ) -> Result<u64, TriggerRefusal> {
        self.check_start(trigger)?;
        let id = self.parts.memory.passes.get() + 1;
        self.parts.memory.passes.set(id);
        self.state.pass = Some(id);
        self.state.fresh_since_start = false;
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
                setback: None,
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
            link.is_known_down().then(|| {
                link.last_error
                    .clone()
                    .unwrap_or_else(|| "no answer".to_owned())
            })
        })
    }

    fn kit(&self, id: u64, trigger: PassTrigger, span: Span) -> PassKit {
        let settings = self.parts.settings.get();
        let published = self.parts.published.clone();
        let on_progress = move |progress: PassProgress| {
            published.update(|snapshot| {
                if let Some(current) = &mut snapshot.current_pass {
                    current.delivered = progress.delivered;
                }
                // The server takes readings again, whatever it said before.
                if progress.delivered > 0 {
                    snapshot.pause = None;
                }
            });
        };
        let (published, clock) = (self.parts.published.clone(), self.parts.clock.clone());
        let on_unsettled = move |words: Option<String>| {
            published.update(|snapshot| {
                let since = snapshot.unsettled.take().map(|(_, since)| since);
                let since = since.unwrap_or_else(|| clock.now().into());
                snapshot.unsettled = words.map(|words| (words, since));
            });
        };
        let published = self.parts.published.clone();
        let on_setback = move |setback: Option<Setback>| note_setback(&published, id, setback);
        PassKit {
            id,
            trigger,
            clock: self.parts.clock.clone(),
            store: self.parts.store.clone(),
            line: self.parts.line.clone(),
            interruption: self.state.interruption.subscribe(),
            limits: self.state.limits.clone(),
            is_awaited: self.state.is_awaited.clone(),
            api_snapshot: self.parts.api_snapshot.clone(),
            spares_bytes: settings.max_bytes_per_second.is_some(),
            timeout: self.parts.upload_timeout,
            span,
            in_hand: self
                .parts
                .progress
                .begin("a sync pass", longest_step(self.parts.upload_timeout)),
            server_accepts: self.parts.memory.server_accepts.clone(),
            unsettled: self.parts.memory.unsettled.clone(),
            on_progress: Rc::new(on_progress),
            on_unsettled: Rc::new(on_unsettled),
            on_setback: Rc::new(on_setback),
        }
    }

    fn finish_pass(finished: Finished, manager: &mut Self, context: &mut Context<Self>) {
        let Finished {
            report,
            has_left_newer,
        } = finished;
        manager
            .parts
            .failure_points
            .pass("sync_manager.finish_pass");
        manager.state.pass = None;
        manager.state.fresh_since_start |= has_left_newer;
        manager.log_end(&report);
        manager.publish_end(&report);
        manager
            .parts
            .events
            .tell(report.finished_at, EventKind::PassFinished(report.clone()));
        // Whoever joined the pass before asked for both.
        let carried = manager.state.carried.take();
        let answer = carried.map_or_else(|| report.clone(), |before| report.including(&before));
        answer_all(&mut manager.state.joined, &Ok(answer));
        manager.follow(&report, context);
        manager.note_waiters();
    }

    fn note_waiters(&self) {
        let state = &self.state;
        let is_awaited = !state.joined.is_empty() || !state.waiting.is_empty();
        state.is_awaited.set(is_awaited);
    }

    fn interrupt(&self, interruption: Interruption) {
        self.state.interruption.send_replace(interruption);
    }

    /// What comes before the end of the process stays the end.
    fn clear_interruption(&self) {
        if !self.state.winding_down {
            self.interrupt(Interruption::None);
        }
    }
}

fn answer_all(waiters: &mut Vec<Waiter>, answer: &Result<PassReport, TriggerRefusal>) {
    for waiter in waiters.drain(..) {
        // Whoever asked may have gone.
        let _ = waiter.send(answer.clone());
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
            None => {
                self.start_by_itself(PassTrigger::StartUp, context);
            }
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

    fn progress(&self) -> Progress {
        self.parts.progress.clone()
    }
}
