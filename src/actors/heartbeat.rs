//! Tells the Client System regularly that this site is alive.

use std::{rc::Rc, time::Duration};

use actix::{Actor, Context, Handler, Recipient, ResponseFuture, SpawnHandle, Supervised};
use tokio::sync::oneshot;

use super::{STANDSTILL_MARGIN, after_instead, when_done};
use crate::{
    clock::Clock,
    domain::{
        connectivity::ConnectivityStatus, outcome::CallFailure, schedule::SiteSeed,
        status::HeartbeatStatus, timestamp::Timestamp,
    },
    messages::{
        api_client::PostHeartbeat, database_writer::DatabaseSnapshot, heartbeat::SendHeartbeat,
        settings::SettingsChanged,
    },
    settings::HeartbeatSettings,
    supervision::{
        ask::{AskError, ask_within},
        failure_points::FailurePoints,
        progress::Progress,
        published::Published,
        supervisor::SupervisedActor,
    },
};

type Reply = oneshot::Sender<Result<HeartbeatStatus, CallFailure>>;
type Posted = Result<Result<Option<Timestamp>, CallFailure>, AskError>;

/// What the heartbeat is built from.
pub struct HeartbeatParts {
    /// Its settings.
    pub settings: Published<HeartbeatSettings>,
    /// Spreads sites over the interval.
    pub seed: SiteSeed,
    /// The time.
    pub clock: Clock,
    /// How long a heartbeat may take at the most.
    pub patience: Duration,
    /// Who sends it.
    pub api_client: Recipient<PostHeartbeat>,
    /// What it says.
    pub report: Rc<dyn Fn() -> PostHeartbeat>,
    /// Whether the Client System is reachable.
    pub connectivity: Published<ConnectivityStatus>,
    /// Whether this instance speaks for the site.
    pub database: Published<DatabaseSnapshot>,
    /// Where the status is published.
    pub published: Published<HeartbeatStatus>,
    /// What it has in hand.
    pub progress: Progress,
    /// Planned failures.
    pub failure_points: FailurePoints,
}

/// The heartbeat.
pub struct Heartbeat {
    parts: HeartbeatParts,
    timer: Option<SpawnHandle>,
    waiting: Vec<Reply>,
    sending: bool,
}

impl Heartbeat {
    /// A heartbeat that has not been sent yet.
    pub fn new(parts: HeartbeatParts) -> Self {
        Self {
            parts,
            timer: None,
            waiting: Vec::new(),
            sending: false,
        }
    }

    /// There is one heartbeat ahead at any time.
    fn schedule(&mut self, context: &mut Context<Self>) {
        let delay = self.parts.seed.until_due(
            "heartbeat",
            self.parts.settings.read(|settings| settings.interval),
            self.parts.clock.now(),
        );
        let act = |heartbeat: &mut Self, context: &mut Context<Self>| {
            heartbeat.timer = None;
            heartbeat.parts.failure_points.pass("heartbeat.timer");
            if heartbeat.parts.database.read(DatabaseSnapshot::leads) {
                heartbeat.beat_unless_offline(context);
            }
            heartbeat.schedule(context);
        };
        let previous = self.timer.take();
        self.timer = Some(after_instead(
            previous,
            &self.parts.clock,
            delay,
            context,
            act,
        ));
    }

    /// While the link is down its own probes find its return; heartbeats would only add to them.
    fn beat_unless_offline(&mut self, context: &mut Context<Self>) {
        let offline = self
            .parts
            .connectivity
            .read(ConnectivityStatus::is_known_down);
        if !offline {
            self.beat(context);
        }
    }

    fn beat(&mut self, context: &mut Context<Self>) {
        if std::mem::replace(&mut self.sending, true) {
            return;
        }
        let report = (self.parts.report)();
        let (api_client, patience) = (self.parts.api_client.clone(), self.parts.patience);
        let points = self.parts.failure_points.clone();
        let in_hand = self
            .parts
            .progress
            .begin("a heartbeat", patience + STANDSTILL_MARGIN);
        let work = async move {
            let _in_hand = in_hand;
            points.pass("heartbeat.send");
            ask_within(&api_client, report, patience).await
        };
        when_done(work, context, Self::finish);
    }

    fn finish(posted: Posted, heartbeat: &mut Self, _: &mut Context<Self>) {
        heartbeat.sending = false;
        let now = heartbeat.parts.clock.now().into();
        let result = posted.unwrap_or_else(|error| Err(CallFailure::NoAnswer(error.to_string())));
        heartbeat
            .parts
            .published
            .update(|status| note(status, &result, now));
        let status = heartbeat.parts.published.get();
        for reply in heartbeat.waiting.drain(..) {
            // Whoever asked may have gone.
            let _ = reply.send(result.clone().map(|_| status.clone()));
        }
    }
}

fn note(
    status: &mut HeartbeatStatus,
    result: &Result<Option<Timestamp>, CallFailure>,
    now: Timestamp,
) {
    if let Err(CallFailure::Held(until)) = result {
        // Nobody has refused it. The next one after the pause tells how heartbeats fare.
        tracing::debug!(%until, "no heartbeat: the client system wants to be left alone");
        return;
    }
    status.last_attempt_at = Some(now);
    match result {
        Ok(server_time) => {
            status.last_success_at = Some(now);
            status.last_error = None;
            status.consecutive_failures = 0;
            status.failing_since = None;
            status.server_time = *server_time;
        }
        Err(failure) => {
            tracing::warn!(%failure, "a heartbeat was not accepted");
            status.last_error = Some(failure.to_string());
            status.consecutive_failures = status.consecutive_failures.saturating_add(1);
            // That nobody was there says nothing about how heartbeats are taken, before and after.
            if !matches!(failure, CallFailure::Unreachable(_)) {
                status.failing_since.get_or_insert(now);
            }
        }
    }
}

impl Actor for Heartbeat {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        self.schedule(context);
    }
}

impl Supervised for Heartbeat {
    fn restarting(&mut self, _: &mut Self::Context) {
        self.timer = None;
        self.waiting.clear();
        self.sending = false;
    }
}

impl SupervisedActor for Heartbeat {
    const NAME: &'static str = "heartbeat";

    fn progress(&self) -> Progress {
        self.parts.progress.clone()
    }
}

impl Handler<SendHeartbeat> for Heartbeat {
    type Result = ResponseFuture<Result<HeartbeatStatus, CallFailure>>;

    fn handle(&mut self, _: SendHeartbeat, context: &mut Self::Context) -> Self::Result {
        self.parts.failure_points.pass("heartbeat.handler");
        let (reply, answer) = oneshot::channel();
        self.waiting.push(reply);
        self.beat(context);
        let restarted = || {
            Err(CallFailure::NoAnswer(
                "the heartbeat was restarted meanwhile".to_owned(),
            ))
        };
        Box::pin(async move { answer.await.unwrap_or_else(|_| restarted()) })
    }
}

impl Handler<SettingsChanged> for Heartbeat {
    type Result = ();

    fn handle(&mut self, _: SettingsChanged, context: &mut Self::Context) {
        self.schedule(context);
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta};

    use super::*;

    #[test]
    fn only_a_success_ends_that_heartbeats_are_refused() {
        let at = |seconds| Timestamp(DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds));
        let mut status = HeartbeatStatus::default();
        let mut since_after = |seconds, result: Result<Option<Timestamp>, CallFailure>| {
            note(&mut status, &result, at(seconds));
            status.failing_since
        };
        let gone = || Err(CallFailure::Unreachable("refused".into()));
        let refused = || {
            Err(CallFailure::Refused {
                status: 404,
                words: "no such site".into(),
            })
        };
        assert_eq!(since_after(0, gone()), None, "nobody has refused it");
        assert_eq!(since_after(60, refused()), Some(at(60)));
        assert_eq!(since_after(120, gone()), Some(at(60)));
        let held = Err(CallFailure::Held(at(300)));
        assert_eq!(since_after(180, held), Some(at(60)));
        assert_eq!(since_after(360, refused()), Some(at(60)));
        assert_eq!(since_after(420, Ok(None)), None);
        assert_eq!(since_after(480, refused()), Some(at(480)));
    }
}
