//! All HTTP to the Client System. Reports what every call shows about the link, keeps the pauses that the
//! server asks for, and lets at most one exchange per batch be under way.

mod certificate;
mod codings;
mod exchanges;
mod knowledge;
mod probe;
mod redaction;
mod route;
#[cfg(test)]
mod testing;
mod tunnel;
mod upload;
mod wire;

use std::{cell::Cell, rc::Rc, time::Duration};

use actix::{Actor, Context, Handler, Message, Recipient, ResponseFuture, Supervised};
use actix_web::web::Bytes;
use secrecy::SecretString;

pub use self::{
    codings::about_codings, exchanges::Exchanges, knowledge::ServerKnowledge, probe::probe,
};
use self::{
    upload::Uploader,
    wire::{Call, NoAnswer, Wire},
};
use super::STANDSTILL_MARGIN;
use crate::{
    clock::Clock,
    domain::{
        compression::UploadCompression,
        connectivity::{AUTH, LinkEvidence},
        meter::SiteConfiguration,
        outcome::{CallFailure, UploadOutcome},
        request_budget::RequestAllowance,
        store::Fact,
        timestamp::Timestamp,
    },
    messages::{
        api_client::{
            ApiClientSnapshot, Authenticate, DownloadConfig, HoldUntil, PostHeartbeat,
            TestConnection, UploadBatch,
        },
        connectivity_monitor::ReportEvidence,
        database_writer::Remember,
    },
    settings::ClientSystemSettings,
    supervision::{
        ask::tell, failure_points::FailurePoints, progress::Progress, published::Published,
        supervisor::SupervisedActor,
    },
    telemetry::metrics::Metrics,
    upstream::{
        answer::{Answer, HEALTH},
        configuration::parse_configuration,
        heartbeat::{HeartbeatReport, parse_heartbeat_answer},
    },
};

/// A health check tells about the link, so it must not take as long as an upload may.
const HEALTH_CHECK_TIMEOUT: Duration = Duration::from_secs(10);

/// What the API client is built from.
#[derive(Clone)]
pub struct ApiClientParts {
    /// Its settings.
    pub settings: ClientSystemSettings,
    /// The key that is sent along, which may change.
    pub api_key: Published<SecretString>,
    /// How uploads are compressed, as far as the server takes it.
    pub compression: UploadCompression,
    /// The most bytes per second that uploads may take on average.
    pub max_bytes_per_second: Option<u64>,
    /// The other schedules call this often.
    pub other_calls_every: Duration,
    /// The time.
    pub clock: Clock,
    /// What is known about the server.
    pub knowledge: Rc<ServerKnowledge>,
    /// The uploads under way.
    pub exchanges: Rc<Exchanges>,
    /// Who judges the link.
    pub evidence: Recipient<ReportEvidence>,
    /// Who remembers over restarts of the process.
    pub remember: Recipient<Remember>,
    /// Where the snapshot is published.
    pub published: Published<ApiClientSnapshot>,
    /// Where uploads are counted.
    pub metrics: Metrics,
    /// What it has in hand.
    pub progress: Progress,
    /// Planned failures.
    pub failure_points: FailurePoints,
}

/// The API client.
pub struct ApiClient {
    parts: ApiClientParts,
    line: Rc<Line>,
}

/// The wire with its manners; what a call in progress holds on to.
struct Line {
    parts: ApiClientParts,
    wire: Wire,
}

impl ApiClient {
    /// A client that has not called yet.
    pub fn new(parts: ApiClientParts) -> Self {
        let line = Rc::new(Line::new(parts.clone()));
        Self { parts, line }
    }
}

impl Line {
    fn new(parts: ApiClientParts) -> Self {
        let wire = Wire::new(&parts.settings, parts.clock.clone()).with_key(parts.api_key.clone());
        Self { parts, wire }
    }

    fn now(&self) -> Timestamp {
        self.parts.clock.now().into()
    }

    /// Until when no call may be made: at the server's wish, or because it would refuse any more.
    fn hold(&self) -> Option<Timestamp> {
        let knowledge = &self.parts.knowledge;
        knowledge.hold_at(self.now()).or_else(|| {
            let elapsed = self.parts.clock.elapsed();
            let left = knowledge.budget.borrow().exhausted_for(elapsed)?;
            Some(self.now().later_by(left))
        })
    }

    /// One exchange. Reports what it shows about the link, and begins a pause when the server asks for one.
    async fn exchange(&self, call: Call) -> Result<Answer, NoAnswer> {
        let (path, shows_key) = (call.path, call.authenticated);
        let result = self.send(call).await;
        let evidence = match &result {
            Ok(answer) => {
                let trouble = answer.trouble(path);
                let is_success = answer.is_success() && trouble.is_none();
                Some(LinkEvidence::Answered {
                    call: path,
                    trouble,
                    proves_key: shows_key && is_success,
                })
            }
            Err(NoAnswer::Unreachable(words)) => Some(LinkEvidence::Unreachable(words.clone())),
            Err(NoAnswer::TimedOut(words)) => Some(LinkEvidence::TimedOut(words.clone())),
            // That a connection breaks says nothing about the next one.
            Err(NoAnswer::Broken(_)) => None,
        };
        if let Some(evidence) = evidence {
            tell(&self.parts.evidence, ReportEvidence(evidence));
        }
        result
    }

    /// One exchange, with what the answer says of limits and pauses.
    async fn send(&self, call: Call) -> Result<Answer, NoAnswer> {
        let knowledge = &self.parts.knowledge;
        knowledge.budget.borrow_mut().spend();
        let under_way = UnderWay::begin(&knowledge.in_flight);
        let result = self.wire.exchange(call).await;
        drop(under_way);
        let (answer, allowance) = result?;
        self.note_allowance(allowance);
        self.note_wish_for_pause(&answer);
        Ok(answer)
    }

    /// An exchange that is not an upload.
    async fn call(&self, call: Call) -> Result<Answer, CallFailure> {
        if let Some(until) = self.hold() {
            return Err(CallFailure::Held(until));
        }
        let answer = self.exchange(call).await.map_err(call_failure)?;
        let (status, words) = (answer.status, answer.words());
        let hold = self.hold().filter(|_| matches!(status, 429 | 503));
        if let Some(until) = hold {
            // A wish to be left alone is no refusal of what was sent.
            return Err(CallFailure::Held(until));
        }
        match status {
            200..=299 => Ok(answer),
            401 | 403 => Err(CallFailure::Unauthorized { status, words }),
            _ => Err(CallFailure::Refused { status, words }),
        }
    }

    /// Health checks are evidence for the connectivity monitor, which asks for them: it draws the conclusion
    /// from the answer itself.
    async fn test_connection(&self) -> Result<Option<String>, CallFailure> {
        if let Some(until) = self.hold() {
            return Err(CallFailure::Held(until));
        }
        let result = match self.check_health().await {
            // The server closes idle connections; that one was closed under the request is no outage.
            Err(NoAnswer::Broken(_)) => self.check_health().await,
            other => other,
        };
        let answer = result.map_err(call_failure)?;
        Ok(answer.trouble(HEALTH))
    }

    async fn check_health(&self) -> Result<Answer, NoAnswer> {
        let timeout = HEALTH_CHECK_TIMEOUT.min(self.parts.settings.timeout);
        let call = Call {
            authenticated: false,
            ..Call::get(HEALTH, timeout)
        };
        self.send(call).await
    }

    async fn authenticate(&self) -> Result<(), CallFailure> {
        let call = Call::post(AUTH, Bytes::from_static(b"{}"), self.parts.settings.timeout);
        self.call(call).await.map(drop)
    }

    async fn download_config(&self) -> Result<SiteConfiguration, CallFailure> {
        let answer = self
            .call(Call::get("/sync/config", self.parts.settings.timeout))
            .await?;
        parse_configuration(&answer.body).map_err(CallFailure::Unintelligible)
    }

    async fn post_heartbeat(
        &self,
        heartbeat: PostHeartbeat,
    ) -> Result<Option<Timestamp>, CallFailure> {
        let report = HeartbeatReport {
            status: heartbeat.status,
            queue_size: heartbeat.queue_size,
            last_collection: heartbeat.last_collection,
            version: env!("CARGO_PKG_VERSION"),
            uptime: heartbeat.uptime,
        };
        let body = serde_json::to_vec(&report)
            .map_err(|error| CallFailure::Unintelligible(error.to_string()))?;
        let answer = self
            .call(Call::post(
                "/sync/heartbeat",
                body.into(),
                self.parts.settings.timeout,
            ))
            .await?;
        parse_heartbeat_answer(&answer.body).map_err(CallFailure::Unintelligible)
    }

    fn note_allowance(&self, allowance: RequestAllowance) {
        if allowance.limit.is_none() && allowance.remaining.is_none() {
            return;
        }
        let knowledge = &self.parts.knowledge;
        let elapsed = self.parts.clock.elapsed();
        let budget = {
            let mut budget = knowledge.budget.borrow_mut();
            budget.note(allowance, knowledge.in_flight.get(), elapsed);
            *budget
        };
        self.parts.published.update(|snapshot| {
            snapshot.requests_limit = allowance.limit;
            snapshot.requests_remaining = allowance.remaining;
            snapshot.requests_are_scarce = budget.is_scarce(elapsed);
        });
        if let Some(pause) = budget.exhausted_for(elapsed) {
            self.pause(pause, "the client system allows no more requests for now");
        }
    }

    /// Finds out when the next upload may begin, after one of so many bytes.
    fn space_uploads(&self, bytes: usize) {
        let (parts, now) = (&self.parts, self.parts.clock.elapsed());
        let for_requests = now
            + parts
                .knowledge
                .budget
                .borrow()
                .between_uploads(parts.other_calls_every, now);
        let for_bytes = parts.max_bytes_per_second.map_or(now, |most| {
            let share = Duration::from_secs_f64(bytes as f64 / most.max(1) as f64);
            now.max(parts.knowledge.next_upload_at.get()) + share
        });
        let next = for_requests.max(for_bytes);
        parts.knowledge.next_upload_at.set(next);
        parts
            .published
            .update(|snapshot| snapshot.next_upload_at = next);
    }

    fn note_wish_for_pause(&self, answer: &Answer) {
        let Some(pause) = answer
            .retry_after
            .filter(|_| matches!(answer.status, 429 | 503))
        else {
            return;
        };
        self.pause(pause, "the client system asks to be left alone");
    }

    fn pause(&self, pause: Duration, reason: &'static str) {
        let now = self.now();
        if let Some(until) = self.parts.knowledge.hold_for(pause, now) {
            tracing::warn!(%until, reason, "all calls wait");
            self.publish_hold(until, now);
            self.remember(Fact::HeldUntil, until.to_string());
        }
    }

    fn hold_with_others(&self, until: Timestamp) {
        let now = self.now();
        let Ok(pause) = (until.0 - now.0).to_std() else {
            return;
        };
        if let Some(until) = self.parts.knowledge.hold_for(pause, now) {
            tracing::warn!(%until, "the client system asked another instance to be left alone");
            self.publish_hold(until, now);
        }
    }

    fn publish_hold(&self, until: Timestamp, now: Timestamp) {
        self.parts.published.update(|snapshot| {
            let ongoing = snapshot.held_until.is_some_and(|end| end > now);
            snapshot.held_since = snapshot.held_since.filter(|_| ongoing).or(Some(now));
            snapshot.held_until = Some(until);
        });
    }

    fn remember(&self, fact: Fact, value: String) {
        tell(
            &self.parts.remember,
            Remember {
                fact,
                value: Some(value),
            },
        );
    }
}

/// Counts a request for as long as it is under way, however it ends.
struct UnderWay<'a>(&'a Cell<u64>);

impl<'a> UnderWay<'a> {
    fn begin(count: &'a Cell<u64>) -> Self {
        count.set(count.get() + 1);
        Self(count)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get().saturating_sub(1));
    }
}

fn call_failure(no_answer: NoAnswer) -> CallFailure {
    match no_answer {
        NoAnswer::Unreachable(words) => CallFailure::Unreachable(words),
        NoAnswer::Broken(words) | NoAnswer::TimedOut(words) => CallFailure::NoAnswer(words),
    }
}

impl Actor for ApiClient {
    type Context = Context<Self>;

    fn started(&mut self, _: &mut Self::Context) {
        self.line.publish_codings();
        let now = self.line.now();
        if let Some(until) = self.line.hold() {
            self.line.publish_hold(until, now);
        }
    }
}

impl Supervised for ApiClient {
    fn restarting(&mut self, _: &mut Self::Context) {
        self.line = Rc::new(Line::new(self.parts.clone()));
    }
}

impl SupervisedActor for ApiClient {
    const NAME: &'static str = "api_client";

    fn progress(&self) -> Progress {
        self.parts.progress.clone()
    }
}

impl Handler<HoldUntil> for ApiClient {
    type Result = ();

    fn handle(&mut self, HoldUntil(until): HoldUntil, _: &mut Self::Context) {
        self.parts.failure_points.pass("api_client.hold_until");
        self.line.hold_with_others(until);
    }
}

impl Handler<UploadBatch> for ApiClient {
    type Result = ResponseFuture<UploadOutcome>;

    fn handle(&mut self, message: UploadBatch, _: &mut Self::Context) -> Self::Result {
        self.parts.failure_points.pass("api_client.upload");
        let line = self.line.clone();
        let key = message.key.clone();
        self.parts
            .exchanges
            .join_or_begin(&key, move || Box::pin(Uploader::new(line, message).run()))
    }
}

impl Handler<TestConnection> for ApiClient {
    type Result = ResponseFuture<Result<Option<String>, CallFailure>>;

    fn handle(&mut self, _: TestConnection, _: &mut Self::Context) -> Self::Result {
        self.answer::<TestConnection, _>(|line| async move { line.test_connection().await })
    }
}

impl Handler<Authenticate> for ApiClient {
    type Result = ResponseFuture<Result<(), CallFailure>>;

    fn handle(&mut self, _: Authenticate, _: &mut Self::Context) -> Self::Result {
        self.answer::<Authenticate, _>(|line| async move { line.authenticate().await })
    }
}

impl Handler<DownloadConfig> for ApiClient {
    type Result = ResponseFuture<Result<SiteConfiguration, CallFailure>>;

    fn handle(&mut self, _: DownloadConfig, _: &mut Self::Context) -> Self::Result {
        self.answer::<DownloadConfig, _>(|line| async move { line.download_config().await })
    }
}

impl Handler<PostHeartbeat> for ApiClient {
    type Result = ResponseFuture<Result<Option<Timestamp>, CallFailure>>;

    fn handle(&mut self, message: PostHeartbeat, _: &mut Self::Context) -> Self::Result {
        self.answer::<PostHeartbeat, _>(|line| async move { line.post_heartbeat(message).await })
    }
}

impl ApiClient {
    /// Runs a call beside the actor. Should it panic, its caller sees a closed mailbox, and nothing else depended
    /// on it.
    fn answer<M: Message, F>(&self, call: impl FnOnce(Rc<Line>) -> F) -> ResponseFuture<M::Result>
    where
        F: Future<Output = M::Result> + 'static,
    {
        self.parts.failure_points.pass("api_client.call");
        let allowed = self.parts.settings.timeout * 2 + STANDSTILL_MARGIN;
        let in_hand = self.parts.progress.begin("a call", allowed);
        let call = call(self.line.clone());
        Box::pin(async move {
            let _in_hand = in_hand;
            call.await
        })
    }
}
