//! The whole truth in one structure, composed from published snapshots alone: no message, no read of the Sync
//! Database, so that it costs nothing and holds when a part hangs.

use std::time::Duration;

use chrono::TimeDelta;

use super::{Control, words};
use crate::{
    domain::{
        connectivity::ConnectivityStatus,
        local_certificate::ExpiringCertificate,
        pass::PassEnd,
        status::{
            ActorState, ActorStatus, ConfigStatus, HeartbeatStatus, QueueStatus, ServiceStatus,
            State, SyncStatus,
        },
        store::StoreError,
        timestamp::Timestamp,
    },
    messages::{
        api_client::ApiClientSnapshot, database_writer::DatabaseSnapshot,
        sync_manager::SyncManagerSnapshot,
    },
};

/// Events that are shown along with the status.
const SHOWN_EVENTS: usize = 20;
/// The first count of the queue may take this long without anything being wrong.
const FIRST_COUNT_SECONDS: f64 = 30.0;
/// So long a time heartbeats may fail, if more than one does, before the service needs attention.
const HEARTBEAT_PATIENCE_SECONDS: f64 = 600.0;
/// A reading may wait for this many intervals without anything being wrong.
const PATIENT_INTERVALS: i64 = 3;

/// The state in a word and a sentence, and since when.
#[derive(Debug)]
pub(super) struct Verdict {
    pub(super) state: State,
    pub(super) reason: String,
    pub(super) since: Timestamp,
}

impl Verdict {
    pub(super) fn new(state: State, since: Timestamp, reason: String) -> Self {
        Self {
            state,
            reason,
            since,
        }
    }
}

/// Everything that a verdict is based on, read at one moment.
#[derive(Clone)]
pub(super) struct Evidence {
    pub(super) now: Timestamp,
    pub(super) started_at: Timestamp,
    pub(super) automatic: bool,
    pub(super) manager: SyncManagerSnapshot,
    pub(super) connectivity: ConnectivityStatus,
    pub(super) api_client: ApiClientSnapshot,
    pub(super) database: DatabaseSnapshot,
    pub(super) heartbeat: HeartbeatStatus,
    pub(super) config: ConfigStatus,
    pub(super) actors: Vec<ActorStatus>,
    /// For how long the thread of the actors has given no sign of life, if that is too long.
    pub(super) silent_for: Option<Duration>,
    pub(super) expiring: Option<ExpiringCertificate>,
}

impl Control {
    /// How the service fares.
    pub fn status(&self) -> ServiceStatus {
        let parts = &self.parts;
        let mut evidence = self.evidence();
        if evidence.is_held_up() {
            evidence.database.queue.eta_s = None;
        }
        let verdict = self.verdict(&evidence);
        let upload_trouble = evidence.upload_trouble();
        let queue = evidence.database.queue;
        let mut salvages = evidence.database.salvages.into_iter();
        ServiceStatus {
            state: verdict.state,
            reason: verdict.reason,
            since: verdict.since,
            sync: SyncStatus {
                queue_size: queue.pending,
                queue_size_unknown: queue.uncounted,
                is_client_connected: evidence.connectivity.is_connected,
                ..parts.sync_status.get()
            },
            connectivity: evidence.connectivity,
            queue,
            heartbeat: evidence.heartbeat,
            config: evidence.config,
            upload_trouble,
            last_pass: evidence.manager.last_pass,
            recent_events: parts.events.recent(SHOWN_EVENTS),
            instance: evidence.database.attendance,
            salvage: salvages.next(),
            earlier_salvages: salvages.collect(),
            actors: evidence.actors,
            expiring_certificate: evidence.expiring,
            refused_calls: self.refused_calls(),
            version: env!("CARGO_PKG_VERSION").into(),
            uptime_s: self.uptime_seconds(),
        }
    }

    fn uptime_seconds(&self) -> u64 {
        let now = self.parts.clock.elapsed();
        now.saturating_sub(self.started).as_secs()
    }

    /// All actors, each with the number of pieces of work that it has begun and not ended.
    pub fn work_in_hand(&self) -> Vec<(ActorStatus, usize)> {
        self.parts.board.work_in_hand()
    }

    /// The snapshot ages; the times that it counts are brought up to now.
    pub(super) fn with_current_times(&self, status: ConnectivityStatus) -> ConnectivityStatus {
        let now = self.now();
        // Whatever happened to the time of day since: no state is older than this process, but an outage that it began in.
        let lasted = status
            .since
            .map_or(0, |since| now.whole_seconds_since(since))
            .min(self.uptime_seconds() + status.lasted_before_s);
        let known_down = status.is_known_down();
        ConnectivityStatus {
            uptime: if status.is_connected { lasted } else { 0 },
            downtime: if known_down { lasted } else { 0 },
            held_until: self
                .parts
                .api_client
                .read(|client| client.held_until)
                .filter(|until| *until > now),
            ..status
        }
    }

    pub(super) fn verdict(&self, evidence: &Evidence) -> Verdict {
        let verdict = evidence.explained(evidence.verdict());
        self.standing.note(verdict, evidence.now)
    }

    pub(super) fn evidence(&self) -> Evidence {
        let parts = &self.parts;
        let now = self.now();
        let expires = parts.certificate_expires.get();
        let mut database = parts.database.get();
        database.queue.uncounted = !database.counted || database.is_damaged;
        Evidence {
            now,
            started_at: parts.started_at,
            automatic: parts.automatic,
            manager: parts.sync_manager.get(),
            connectivity: self.with_current_times(parts.connectivity.get()),
            api_client: parts.api_client.get(),
            database,
            heartbeat: parts.heartbeat.get(),
            config: parts.config.get(),
            actors: parts.board.actors(),
            silent_for: parts.board.pulse().silent_for(),
            expiring: expires.and_then(|at| ExpiringCertificate::of(at, now)),
        }
    }
}

impl Evidence {
    /// The first condition that holds, in the order that the contract gives.
    pub(super) fn verdict(&self) -> Verdict {
        self.stopped()
            .or_else(|| self.paused(State::Misconfigured))
            .or_else(|| self.paused(State::Unauthorized))
            .or_else(|| self.offline())
            .or_else(|| self.rate_limited())
            .or_else(|| self.degraded())
            .or_else(|| self.syncing())
            .unwrap_or_else(|| self.ok())
    }

    pub(super) fn queue(&self) -> &QueueStatus {
        &self.database.queue
    }

    /// Whether nothing leaves the queue now, so that the pace until now tells nothing about its end; or nobody knows how
    /// much there is.
    fn is_held_up(&self) -> bool {
        let manager = &self.manager;
        // The pace of earlier passes is none of one that has brought nothing yet.
        let brings_nothing = match &manager.current_pass {
            Some(pass) => pass.delivered == 0,
            None => manager.failing_since.is_some(),
        };
        brings_nothing
            || self.silent_for.is_some()
            || !manager.running
            || manager.pause.is_some()
            || self.connectivity.is_known_down()
            || self
                .api_client
                .held_until
                .is_some_and(|until| until > self.now)
            || self.database.failing_since.is_some()
            || self.queue().uncounted
    }

    fn stopped(&self) -> Option<Verdict> {
        (!self.manager.running).then(|| {
            Verdict::new(
                State::Stopped,
                self.manager.stopped_since.unwrap_or(self.started_at),
                words::stopped(self.queue(), self.automatic),
            )
        })
    }

    fn paused(&self, state: State) -> Option<Verdict> {
        let (end, since) = self.manager.pause.as_ref()?;
        let reason = match (state, end) {
            (State::Misconfigured, PassEnd::Misconfigured { .. }) => {
                words::misconfigured(end, self.queue(), self.automatic)
            }
            (State::Unauthorized, PassEnd::Unauthorized { .. }) => {
                words::unauthorized(end, self.queue(), self.automatic)
            }
            _ => return None,
        };
        Some(Verdict::new(state, *since, reason))
    }

    fn offline(&self) -> Option<Verdict> {
        let link = &self.connectivity;
        link.is_known_down().then(|| {
            let since = link.since.or(link.last_failed_connection);
            Verdict::new(
                State::Offline,
                since.unwrap_or(self.started_at),
                words::offline(link.last_error.as_deref(), self.queue(), self.automatic),
            )
        })
    }

    fn rate_limited(&self) -> Option<Verdict> {
        let until = self
            .api_client
            .held_until
            .filter(|until| *until > self.now)?;
        Some(Verdict::new(
            State::RateLimited,
            self.api_client.held_since.unwrap_or(self.started_at),
            words::rate_limited(until, self.queue(), self.automatic),
        ))
    }

    fn degraded(&self) -> Option<Verdict> {
        let fails_for_room = matches!(self.database.failure, Some(StoreError::Full(_)));
        let disk = self.disk_full().filter(|_| !fails_for_room);
        let fault = self
            .first_fault()
            .or_else(|| self.setback().filter(|_| disk.is_some()));
        let (since, reason) = match (fault, disk) {
            // Neither explains the other.
            (Some(fault), Some(disk)) => {
                let (first, second) = if self.database.failing_since.is_some() {
                    (fault, disk)
                } else {
                    (disk, fault)
                };
                let reason = words::besides(&first.1, &second.1);
                (first.0.min(second.0), reason)
            }
            (fault, disk) => fault.or(disk)?,
        };
        Some(Verdict::new(State::Degraded, since, reason))
    }

    /// A pass that brings nothing is no fault yet, but it is told where something else is.
    fn setback(&self) -> Option<(Timestamp, String)> {
        let pass = self.manager.current_pass.as_ref()?;
        let setback = pass.setback.as_ref()?;
        Some((
            setback.since,
            words::syncing(pass, self.queue(), self.now, self.automatic),
        ))
    }

    /// What needs attention, but for a disk that is full.
    fn first_fault(&self) -> Option<(Timestamp, String)> {
        self.silent()
            .or_else(|| self.database_failing())
            .or_else(|| self.salvaged())
            .or_else(|| self.replaced())
            .or_else(|| self.actor_down())
            .or_else(|| self.not_counted())
            .or_else(|| self.unsettled())
            .or_else(|| self.failing())
            .or_else(|| self.parked())
            .or_else(|| self.too_old())
            .or_else(|| self.lasting_setback())
            .or_else(|| self.unheard())
    }

    pub(super) fn unsettled(&self) -> Option<(Timestamp, String)> {
        let (words, since) = self.manager.unsettled.as_ref()?;
        Some((*since, words::unsettled(words, self.automatic)))
    }

    fn silent(&self) -> Option<(Timestamp, String)> {
        let silence = self.silent_for?;
        Some((Timestamp(self.now.0 - silence), words::silent(silence)))
    }

    fn database_failing(&self) -> Option<(Timestamp, String)> {
        let (words, since) = self.database.failing_since.as_ref()?;
        let reason = if self.database.is_damaged {
            words::damaged(words)
        } else {
            let remedy = self.database.failure.as_ref().map(StoreError::remedy);
            words::database_failing(words, remedy, self.queue(), self.automatic)
        };
        Some((*since, reason))
    }

    pub(super) fn salvaged(&self) -> Option<(Timestamp, String)> {
        let (newest, earlier) = self.database.salvages.split_first()?;
        Some((newest.at, words::salvaged(newest, earlier)))
    }

    pub(super) fn replaced(&self) -> Option<(Timestamp, String)> {
        let at = self.database.replaced_at?;
        Some((at, words::replaced(self.queue())))
    }

    fn disk_full(&self) -> Option<(Timestamp, String)> {
        let since = self.queue().disk_full_since?;
        Some((since, words::disk_full(self.queue(), self.automatic)))
    }

    pub(super) fn actor_down(&self) -> Option<(Timestamp, String)> {
        // One that has ended needs a person, one that is being restarted does not.
        let actor = self
            .actors
            .iter()
            .find(|actor| actor.state == ActorState::Stopped)
            .or_else(|| {
                self.actors
                    .iter()
                    .find(|actor| actor.state == ActorState::Restarting)
            })?;
        Some((
            actor.last_failure_at.unwrap_or(self.started_at),
            words::actor_down(actor),
        ))
    }

    fn not_counted(&self) -> Option<(Timestamp, String)> {
        let overdue =
            !self.database.counted && self.now.seconds_since(self.started_at) > FIRST_COUNT_SECONDS;
        overdue.then(|| (self.started_at, words::not_counted()))
    }

    fn failing(&self) -> Option<(Timestamp, String)> {
        let (end, since) = self.lasting_failure()?;
        Some((*since, words::failing(end, self.queue(), self.automatic)))
    }

    fn parked(&self) -> Option<(Timestamp, String)> {
        (self.queue().parked_batches > 0).then(|| {
            // When the first batch was parked is not published; its readings wait at least since the oldest.
            let since = self.queue().oldest_pending_at.unwrap_or(self.started_at);
            (since, words::parked(self.queue(), self.automatic))
        })
    }

    fn too_old(&self) -> Option<(Timestamp, String)> {
        let oldest = self.queue().oldest_pending_at?;
        let due = self.after_patience(oldest);
        let words = if self.automatic {
            words::too_old(oldest, self.upload_trouble().as_ref(), self.queue())
        } else {
            words::too_old_by_hand(oldest, self.queue())
        };
        (self.now > due && !self.pass_proceeds()).then_some((due, words))
    }

    fn unheard(&self) -> Option<(Timestamp, String)> {
        let (heartbeat, since) = self.failing_heartbeat()?;
        let lasts = self.now.seconds_since(since) > HEARTBEAT_PATIENCE_SECONDS;
        (lasts && heartbeat.consecutive_failures > 1).then(|| {
            (
                since,
                words::unheard(heartbeat, since, self.queue(), self.automatic),
            )
        })
    }

    /// Whether a pass takes readings away, or has not had the time to.
    fn pass_proceeds(&self) -> bool {
        self.manager.current_pass.as_ref().is_some_and(|pass| {
            self.queue().drain_rate_per_s > 0.0 || self.now <= self.after_patience(pass.started_at)
        })
    }

    fn after_patience(&self, since: Timestamp) -> Timestamp {
        let minutes = i64::try_from(self.manager.interval_minutes.max(1)).unwrap_or(i64::MAX);
        let patience = TimeDelta::try_minutes(minutes.saturating_mul(PATIENT_INTERVALS))
            .and_then(|patience| since.0.checked_add_signed(patience));
        patience.map_or(since, Timestamp)
    }

    fn syncing(&self) -> Option<Verdict> {
        let pass = self.manager.current_pass.as_ref()?;
        Some(Verdict::new(
            State::Syncing,
            pass.started_at,
            words::syncing(pass, self.queue(), self.now, self.automatic),
        ))
    }

    fn ok(&self) -> Verdict {
        let last_pass = self.manager.last_pass.as_ref();
        let trouble = self.upload_trouble();
        let since = [
            last_pass.map(|pass| pass.finished_at),
            self.connectivity.since,
        ]
        .into_iter()
        .flatten()
        .fold(self.started_at, Timestamp::max);
        Verdict::new(
            State::Ok,
            since,
            words::ok(
                self.queue(),
                &self.connectivity,
                &self.blemishes(trouble.as_ref()),
                self.automatic,
            ),
        )
    }
}

#[cfg(test)]
#[path = "status_tests.rs"]
mod tests;
