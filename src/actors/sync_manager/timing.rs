//! When passes start by themselves: the schedule, what follows a pass, probes while uploading pauses, and
//! announced readings.

use std::time::Duration;

use actix::Context;
use tracing::Span;

use super::{SyncManager, after, after_instead, answer_all, when_done};
use crate::{
    domain::{
        backoff::{Backoff, extend},
        outcome::CallFailure,
        pass::{PassEnd, PassReport, PassTrigger},
        timestamp::Timestamp,
    },
    messages::{api_client::Authenticate, sync_manager::TriggerRefusal},
    supervision::ask::{AskError, ask_within},
};

/// Announced readings start a pass at most this often.
const FRESH_PASS_EVERY: Duration = Duration::from_secs(30);
/// Up to so many times as long where the last passes delivered nothing at all: what is not taken becomes no better by more tries,
/// and whatever comes in afterwards still arrives within two minutes.
const RAREST_WHEN_FRUITLESS: u32 = 3;
/// The same while the server allows few requests only.
const FRESH_PASS_WHEN_SCARCE: Duration = Duration::from_secs(100);
/// Requests count as scarce below this share of those that the server allows.
const SCARCE_REQUESTS: f64 = 0.2;
/// While uploading pauses, the key is tried this often.
const PROBE_EVERY: Duration = Duration::from_secs(300);
/// After a failure of the database or of a part of the service the next pass comes soon, and later the longer it lasts.
const AFTER_FAILURE: Backoff = Backoff {
    base: Duration::from_secs(1),
    cap: Duration::from_secs(30),
};
/// Beyond a call's own timeout; then something other than the Client System is slow.
const PROBE_MARGIN: Duration = Duration::from_secs(10);

impl SyncManager {
    /// Starts a pass that nobody asked for, unless something stands against it. Tells whether it did.
    pub(super) fn start_by_itself(
        &mut self,
        trigger: PassTrigger,
        context: &mut Context<Self>,
    ) -> bool {
        let pauses = self.paused().is_some() && trigger != PassTrigger::Probe;
        if !self.is_automatic() || pauses {
            tracing::debug!(
                ?trigger,
                "no sync pass: only a person or a probe starts one now"
            );
            return false;
        }
        match self.start_pass(trigger, Span::none(), context) {
            Ok(_) => return true,
            // What came in while a pass runs may have come too late for it.
            Err(TriggerRefusal::AlreadyRunning) if trigger == PassTrigger::Connected => {
                self.state.follow_up = Some(trigger);
            }
            Err(TriggerRefusal::Held(until)) => self.retry_at(until, context),
            Err(refusal) => tracing::debug!(?trigger, reason = %refusal, "no sync pass"),
        }
        false
    }

    fn is_automatic(&self) -> bool {
        self.parts.settings.read(|settings| settings.auto)
    }

    /// What comes after a pass: the one that somebody waits for, else whatever its end calls for.
    pub(super) fn follow(&mut self, report: &PassReport, context: &mut Context<Self>) {
        let mut waiting = std::mem::take(&mut self.state.waiting);
        // The link's return changes something only for a pass that ended because the link was down.
        let was_offline = matches!(report.end, PassEnd::Offline { .. });
        let follow_up = self
            .state
            .follow_up
            .take()
            .filter(|_| was_offline && self.paused().is_none());
        let trigger = if waiting.is_empty() {
            follow_up
        } else {
            Some(PassTrigger::Manual)
        };
        if let Some(trigger) = trigger {
            match self.start_pass(trigger, Span::none(), context) {
                Ok(_) => {
                    self.state.carried = (!waiting.is_empty()).then(|| report.clone());
                    self.state.joined = waiting;
                    return;
                }
                Err(refusal) => answer_all(&mut waiting, &Err(refusal)),
            }
        }
        self.arm_next(report, context);
    }

    fn arm_next(&mut self, report: &PassReport, context: &mut Context<Self>) {
        let end = &report.end;
        if self.paused().is_some() {
            return self.probe_later(context);
        }
        let is_broken = matches!(
            end,
            PassEnd::DatabaseFailed { .. } | PassEnd::Interrupted { .. }
        );
        if !is_broken || report.delivered > 0 {
            self.state.failed_passes = 0;
        }
        self.state.fruitless_passes =
            if matches!(end, PassEnd::GivenUp { .. }) && report.delivered == 0 {
                self.state.fruitless_passes + 1
            } else {
                0
            };
        if !end.is_success() {
            // What a failed pass left behind does not become any better by announcing it.
            self.state.last_fresh_pass = Some(self.parts.clock.elapsed());
        }
        match end {
            PassEnd::Held { until } => self.retry_at(*until, context),
            PassEnd::DatabaseFailed { .. } | PassEnd::Interrupted { .. } => {
                self.state.failed_passes += 1;
                let delay = extend(
                    AFTER_FAILURE.delay(self.state.failed_passes),
                    rand::random(),
                );
                self.retry_after(delay, PassTrigger::Schedule, context);
            }
            // Stopped and started again before the pass had ended.
            PassEnd::Stopped if self.state.running => {
                self.start_by_itself(PassTrigger::StartUp, context);
            }
            _ if self.state.fresh_since_start => self.arm_fresh_pass(context),
            _ => {}
        }
    }

    fn retry_at(&mut self, until: Timestamp, context: &mut Context<Self>) {
        let pause = (until.0 - self.parts.clock.now())
            .to_std()
            .unwrap_or(Duration::ZERO);
        let delay = extend(pause, rand::random::<f64>() * 0.1) + Duration::from_millis(1);
        self.retry_after(delay, PassTrigger::HoldEnded, context);
    }

    fn retry_after(&mut self, delay: Duration, trigger: PassTrigger, context: &mut Context<Self>) {
        self.set_retry(delay, context, move |manager, context| {
            manager.start_by_itself(trigger, context);
        });
    }

    pub(super) fn probe_later(&mut self, context: &mut Context<Self>) {
        self.set_retry(extend(PROBE_EVERY, rand::random()), context, Self::probe);
    }

    /// There is one retry ahead at the most.
    fn set_retry(
        &mut self,
        delay: Duration,
        context: &mut Context<Self>,
        act: impl FnOnce(&mut Self, &mut Context<Self>) + 'static,
    ) {
        let previous = self.state.retry.take();
        self.state.retry = Some(after_instead(
            previous,
            &self.parts.clock,
            delay,
            context,
            act,
        ));
    }

    /// Tries the key while uploading pauses. As long as the pause lasts, another try always lies ahead.
    pub(super) fn probe(&mut self, context: &mut Context<Self>) {
        if !self.state.running || self.paused().is_none() {
            return;
        }
        let authenticate = self.parts.authenticate.clone();
        let patience = self.parts.upload_timeout + PROBE_MARGIN;
        let work = async move { ask_within(&authenticate, Authenticate, patience).await };
        when_done(work, context, Self::finish_probe);
        self.probe_later(context);
    }

    fn finish_probe(
        result: Result<Result<(), CallFailure>, AskError>,
        manager: &mut Self,
        context: &mut Context<Self>,
    ) {
        if !matches!(result, Ok(Ok(()))) {
            return;
        }
        if manager.is_automatic() {
            manager.start_by_itself(PassTrigger::Probe, context);
        } else {
            // Only a person starts a pass, who should know that it has a chance again.
            manager
                .parts
                .published
                .update(|snapshot| snapshot.pause = None);
        }
    }

    pub(super) fn paused(&self) -> Option<PassEnd> {
        let pause = |snapshot: &super::SyncManagerSnapshot| {
            snapshot.pause.as_ref().map(|(end, _)| end.clone())
        };
        self.parts.published.read(pause)
    }

    pub(super) fn arm_schedule(&mut self, context: &mut Context<Self>) {
        let delay = self
            .parts
            .seed
            .until_due("sync", self.interval(), self.parts.clock.now());
        self.state.schedule = Some(after_instead(
            self.state.schedule.take(),
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

    /// Announced readings do not wait for the schedule, but a pass for them comes only every so often.
    pub(super) fn arm_fresh_pass(&mut self, context: &mut Context<Self>) {
        if self.state.fresh.is_some() {
            return;
        }
        let every = if self.requests_are_scarce() {
            FRESH_PASS_WHEN_SCARCE
        } else {
            FRESH_PASS_EVERY * self.state.fruitless_passes.clamp(1, RAREST_WHEN_FRUITLESS)
        };
        let last = self.state.last_fresh_pass;
        let since = last.map(|last| self.parts.clock.elapsed().saturating_sub(last));
        let delay = since.map_or(Duration::ZERO, |since| every.saturating_sub(since));
        self.state.fresh = Some(after(
            &self.parts.clock,
            delay,
            context,
            |manager, context| {
                manager.state.fresh = None;
                manager.state.last_fresh_pass = Some(manager.parts.clock.elapsed());
                manager.start_by_itself(PassTrigger::FreshReadings, context);
            },
        ));
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
}
