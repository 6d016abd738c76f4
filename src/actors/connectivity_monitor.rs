//! The one truth about whether the Client System can be reached.

use std::time::Duration;

use actix::{Actor, Context, Handler, Recipient, ResponseFuture, SpawnHandle, Supervised};
use tokio::sync::oneshot;

use super::{STANDSTILL_MARGIN, after_instead, when_done};
use crate::{
    clock::Clock,
    domain::{
        connectivity::{ConnectivityStatus, Link, LinkChange, LinkEvidence},
        event::EventKind,
        outcome::CallFailure,
        schedule::{FIRST_PROBE, until_probe},
        timestamp::Timestamp,
    },
    messages::{
        api_client::{ApiClientSnapshot, TestConnection},
        connectivity_monitor::{CheckAnswer, ForceCheck, LinkChanged, ReportEvidence},
        events::EventBus,
        settings::SettingsChanged,
    },
    settings::ConnectivitySettings,
    supervision::{
        ask::{AskError, ask_within, tell},
        failure_points::FailurePoints,
        progress::Progress,
        published::Published,
        supervisor::SupervisedActor,
    },
    upstream::answer::HEALTH,
};

/// What the monitor is built from.
pub struct ConnectivityMonitorParts {
    /// Its settings.
    pub settings: Published<ConnectivitySettings>,
    /// The address that health checks go to, for people.
    pub probed_url: String,
    /// How long a health check may take at the most.
    pub check_patience: Duration,
    /// The time.
    pub clock: Clock,
    /// Who carries out health checks.
    pub api_client: Recipient<TestConnection>,
    /// Who wants to know of changes.
    pub subscribers: Vec<Recipient<LinkChanged>>,
    /// Where changes are told to people.
    pub events: EventBus,
    /// Where holds are seen.
    pub api_snapshot: Published<ApiClientSnapshot>,
    /// Where the status is published.
    pub published: Published<ConnectivityStatus>,
    /// What it has in hand.
    pub progress: Progress,
    /// Planned failures.
    pub failure_points: FailurePoints,
}

/// The connectivity monitor.
pub struct ConnectivityMonitor {
    parts: ConnectivityMonitorParts,
    state: State,
}

#[derive(Default)]
struct State {
    link: Link,
    timer: Option<SpawnHandle>,
    next_check: Option<Timestamp>,
    checking: bool,
    waiting: Vec<oneshot::Sender<CheckAnswer>>,
}

impl ConnectivityMonitor {
    /// A monitor that knows nothing yet but when the outage began in which the process may have been started. Its own restarts
    /// do not know that either.
    pub fn new(earlier_outage: Option<Timestamp>, parts: ConnectivityMonitorParts) -> Self {
        let state = State {
            link: Link::after_outage(earlier_outage),
            ..State::default()
        };
        Self { parts, state }
    }

    fn now(&self) -> Timestamp {
        self.parts.clock.now().into()
    }

    fn observe(&mut self, evidence: &LinkEvidence, context: &mut Context<Self>) {
        let troubled_before = self.state.link.troubled_calls();
        let change = self.state.link.observe(evidence, self.now());
        self.publish();
        self.log_trouble(&troubled_before);
        if let Some(change) = change {
            self.spread(change);
        }
        if !self.awaits_health(evidence) {
            self.schedule_check(context);
        }
    }

    /// While the health check is what is not well, no other answer stands in for it: only the next one tells that it is again.
    fn awaits_health(&self, evidence: &LinkEvidence) -> bool {
        let is_ill = self.state.link.troubled_calls().contains(&HEALTH);
        let is_check = matches!(evidence, LinkEvidence::Answered { call, .. } if *call == HEALTH);
        is_ill && !is_check && self.state.timer.is_some()
    }

    /// Once for each call that is not answered as it should be any more, however often that is seen.
    fn log_trouble(&self, before: &[&str]) {
        let (link, url) = (&self.state.link, &self.parts.probed_url);
        let now = link.troubled_calls();
        if now.iter().any(|call| !before.contains(call)) {
            let trouble = link.trouble();
            tracing::warn!(url, trouble, "the client system answers, but is not well");
        } else if now.is_empty() && !before.is_empty() && link.is_connected() {
            tracing::info!(url, "the client system answers as it should again");
        }
    }

    fn spread(&self, change: LinkChange) {
        let link = &self.state.link;
        let reason = match change {
            LinkChange::Connected => link.trouble(),
            LinkChange::Disconnected => link.last_error().map(ToOwned::to_owned),
        };
        match change {
            LinkChange::Connected => {
                tracing::info!(url = self.parts.probed_url, "the client system answers")
            }
            LinkChange::Disconnected => {
                tracing::warn!(
                    url = self.parts.probed_url,
                    reason,
                    "the client system is not reachable; readings are kept"
                );
            }
        }
        self.parts
            .events
            .tell(self.now(), EventKind::Link { change, reason });
        for subscriber in &self.parts.subscribers {
            tell(subscriber, LinkChanged(change));
        }
    }

    fn publish(&self) {
        let held_until = self.parts.api_snapshot.read(|snapshot| snapshot.held_until);
        self.parts.published.set(ConnectivityStatus {
            next_check_time: self.state.next_check,
            ..self
                .state
                .link
                .status(&self.parts.probed_url, held_until, self.now())
        });
    }

    fn schedule_check(&mut self, context: &mut Context<Self>) {
        self.check_after(self.until_next_check(), context);
    }

    /// There is one check ahead at any time.
    fn check_after(&mut self, delay: Duration, context: &mut Context<Self>) {
        let next = self.now().later_by(delay);
        self.state.next_check = Some(next);
        self.parts
            .published
            .update(|status| status.next_check_time = Some(next));
        self.state.timer = Some(after_instead(
            self.state.timer.take(),
            &self.parts.clock,
            delay,
            context,
            |monitor, context| {
                monitor
                    .parts
                    .failure_points
                    .pass("connectivity_monitor.timer");
                monitor.check(context);
            },
        ));
    }

    /// While the link is up every answered call counts as a check; while it is down probes come sooner.
    fn until_next_check(&self) -> Duration {
        let interval = self.parts.settings.read(|settings| settings.check_interval);
        if !self.state.link.is_disconnected() {
            return if self.state.link.is_connected() {
                interval
            } else {
                Duration::ZERO
            };
        }
        until_probe(
            self.state.link.consecutive_failures(),
            interval,
            rand::random(),
        )
    }

    fn check(&mut self, context: &mut Context<Self>) {
        if std::mem::replace(&mut self.state.checking, true) {
            return;
        }
        let (api_client, patience) = (self.parts.api_client.clone(), self.parts.check_patience);
        let points = self.parts.failure_points.clone();
        let in_hand = self
            .parts
            .progress
            .begin("a connectivity check", patience + STANDSTILL_MARGIN);
        let work = async move {
            let _in_hand = in_hand;
            points.pass("connectivity_monitor.check");
            ask_within(&api_client, TestConnection, patience).await
        };
        when_done(work, context, Self::finish_check);
    }

    fn finish_check(
        result: Result<Result<Option<String>, CallFailure>, AskError>,
        monitor: &mut Self,
        context: &mut Context<Self>,
    ) {
        monitor.state.checking = false;
        let evidence = match result {
            Ok(Err(CallFailure::Held(until))) => return monitor.wait_for_release(until, context),
            Ok(Err(CallFailure::Unreachable(words) | CallFailure::NoAnswer(words))) => {
                LinkEvidence::Unreachable(words)
            }
            Ok(answer) => LinkEvidence::Answered {
                call: HEALTH,
                trouble: answer.unwrap_or_default(),
                proves_key: false,
            },
            // Nothing was learned about the link; the next check will tell.
            Err(_) => return monitor.retry_soon(context),
        };
        monitor.observe(&evidence, context);
        let status = monitor.parts.published.get();
        monitor.answer_all(&CheckAnswer::Checked(status));
    }

    fn retry_soon(&mut self, context: &mut Context<Self>) {
        self.state.waiting.clear();
        self.check_after(FIRST_PROBE, context);
    }

    fn wait_for_release(&mut self, until: Timestamp, context: &mut Context<Self>) {
        self.publish();
        self.answer_all(&CheckAnswer::HeldUntil(until));
        let delay = (until.0 - self.parts.clock.now())
            .to_std()
            .unwrap_or(Duration::ZERO)
            + Duration::from_millis(1);
        self.check_after(delay, context);
    }

    fn answer_all(&mut self, answer: &CheckAnswer) {
        for waiting in self.state.waiting.drain(..) {
            // Whoever asked may have gone.
            let _ = waiting.send(answer.clone());
        }
    }
}

impl Actor for ConnectivityMonitor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        self.publish();
        self.schedule_check(context);
    }
}

impl Supervised for ConnectivityMonitor {
    fn restarting(&mut self, _: &mut Self::Context) {
        self.state = State::default();
    }
}

impl SupervisedActor for ConnectivityMonitor {
    const NAME: &'static str = "connectivity_monitor";

    fn progress(&self) -> Progress {
        self.parts.progress.clone()
    }
}

impl Handler<ReportEvidence> for ConnectivityMonitor {
    type Result = ();

    fn handle(&mut self, ReportEvidence(evidence): ReportEvidence, context: &mut Self::Context) {
        self.parts
            .failure_points
            .pass("connectivity_monitor.evidence");
        self.observe(&evidence, context);
        if matches!(evidence, LinkEvidence::TimedOut(_)) {
            self.check(context);
        }
    }
}

impl Handler<ForceCheck> for ConnectivityMonitor {
    type Result = ResponseFuture<CheckAnswer>;

    fn handle(&mut self, _: ForceCheck, context: &mut Self::Context) -> Self::Result {
        self.parts
            .failure_points
            .pass("connectivity_monitor.force_check");
        let (sender, receiver) = oneshot::channel();
        self.state.waiting.push(sender);
        self.check(context);
        let published = self.parts.published.clone();
        // A check that could not be carried out leaves the link as it was.
        Box::pin(async move {
            receiver
                .await
                .unwrap_or_else(|_| CheckAnswer::Checked(published.get()))
        })
    }
}

impl Handler<SettingsChanged> for ConnectivityMonitor {
    type Result = ();

    fn handle(&mut self, _: SettingsChanged, context: &mut Self::Context) {
        self.schedule_check(context);
    }
}
