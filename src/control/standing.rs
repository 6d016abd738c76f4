//! What the service was seen to be: since when all is well, and what the log was told.

use std::{
    convert::Infallible,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::broadcast::error::TryRecvError;

use super::{Control, status::Verdict};
use crate::domain::{status::State, timestamp::Timestamp};

/// What lasts for a shorter time is not told: a pass of a few milliseconds makes no noise.
const SETTLED_AFTER: Duration = Duration::from_secs(1);
/// What comes about without an event, such as that a reading has waited for long, is told within this time.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// Causes may come and go in turn for as long as a state lasts: one line tells of a new one in this time.
const NEW_CAUSE_EVERY: Duration = Duration::from_secs(300);

/// What the log was told last.
#[derive(Debug)]
struct Told {
    state: State,
    cause: String,
    /// When it was last told of a new cause of the same state, by the clock that never goes back.
    new_cause_at: Option<Duration>,
}

impl Told {
    /// The line to write, if any.
    fn news(
        told: &mut Option<Self>,
        state: State,
        cause: String,
        now: Duration,
    ) -> Option<&'static str> {
        let last = told.as_ref();
        let new_cause_at = last.and_then(|told| told.new_cause_at);
        let (line, new_cause_at) = match last {
            Some(last) if last.state == state => {
                let is_early =
                    new_cause_at.is_some_and(|at| now.saturating_sub(at) < NEW_CAUSE_EVERY);
                if last.cause == cause || is_early {
                    return None;
                }
                ("the state lasts, for another cause", Some(now))
            }
            _ => ("the state has changed", new_cause_at),
        };
        *told = Some(Self {
            state,
            cause,
            new_cause_at,
        });
        Some(line)
    }
}

/// What earlier looks have shown; nothing at first.
#[derive(Debug, Default)]
pub(super) struct Standing(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    /// When something was last wrong.
    trouble_at: Option<Timestamp>,
    /// Since when nothing is; none while something is, or before anybody has looked.
    well_since: Option<Timestamp>,
    /// Since when something needs attention without a break, whatever that has been.
    degraded_since: Option<Timestamp>,
}

impl Standing {
    /// All stays well while passes come and go: that they upload is what they are for. And what needs attention does so since
    /// the first of its causes, as long as one follows the other.
    pub(super) fn note(&self, mut verdict: Verdict, now: Timestamp) -> Verdict {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let degraded_since = seen.degraded_since.take();
        match verdict.state {
            State::Syncing => {}
            State::Ok => {
                let since = verdict.since.max(seen.trouble_at.unwrap_or(verdict.since));
                verdict.since = *seen.well_since.get_or_insert(since);
            }
            state => {
                if state == State::Degraded {
                    verdict.since =
                        degraded_since.map_or(verdict.since, |known| known.min(verdict.since));
                    seen.degraded_since = Some(verdict.since);
                }
                seen.trouble_at = Some(now);
                seen.well_since = None;
            }
        }
        verdict
    }
}

impl Control {
    /// Writes into the log what the state is whenever it or its cause has changed, in the words of `/status`, for as long as
    /// it is let.
    pub async fn log_changes(&self) -> Infallible {
        let mut told = None;
        let mut events = self.parts.events.listen_after(None);
        loop {
            let evidence = self.evidence();
            let verdict = self.verdict(&evidence);
            let clock = &self.parts.clock;
            let news = Told::news(&mut told, verdict.state, evidence.cause(), clock.elapsed());
            if let Some(line) = news {
                log(&verdict, line);
            }
            tokio::select! {
                _ = events.live.recv() => clock.sleep(SETTLED_AFTER).await,
                () = clock.sleep(LOOK_EVERY) => {}
            }
            // What was told meanwhile is seen by the next look.
            while matches!(events.live.try_recv(), Ok(_) | Err(TryRecvError::Lagged(_))) {}
        }
    }
}

fn log(verdict: &Verdict, line: &'static str) {
    let (state, reason) = (verdict.state.name(), verdict.reason.as_str());
    match verdict.state {
        State::Ok | State::Syncing => tracing::info!(state, reason, "{line}"),
        _ => tracing::warn!(state, reason, "{line}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp(chrono::DateTime::from_timestamp(seconds, 0).expect("a time"))
    }

    #[test]
    fn a_new_cause_is_told_at_once_and_then_every_five_minutes_at_the_most() {
        let mut told = None;
        let mut news = |state, cause: &str, seconds| {
            Told::news(
                &mut told,
                state,
                cause.to_owned(),
                Duration::from_secs(seconds),
            )
        };
        let changed = Some("the state has changed");
        let another = Some("the state lasts, for another cause");
        assert_eq!(news(State::Ok, "well", 0), changed);
        assert_eq!(news(State::Ok, "well", 10), None);
        assert_eq!(news(State::Ok, "a heartbeat was not accepted", 20), another);
        assert_eq!(news(State::Ok, "well", 30), None);
        assert_eq!(news(State::Ok, "a heartbeat was not accepted", 40), None);
        assert_eq!(news(State::Ok, "well", 319), None);
        assert_eq!(news(State::Ok, "well", 320), another);
        // A change of the state is always told, with its cause of then.
        assert_eq!(news(State::Offline, "refused", 330), changed);
        assert_eq!(news(State::Offline, "refused", 640), None);
        assert_eq!(news(State::Offline, "no such name", 650), another);
    }

    #[test]
    fn all_is_well_since_the_last_trouble_and_not_since_the_last_pass() {
        let standing = Standing::default();
        let since = |state, since, now| {
            let verdict = Verdict::new(state, at(since), String::new());
            standing.note(verdict, at(now)).since
        };
        assert_eq!(since(State::Ok, 5, 10), at(5));
        assert_eq!(since(State::Syncing, 300, 301), at(300));
        assert_eq!(since(State::Ok, 305, 306), at(5));
        assert_eq!(since(State::Offline, 400, 430), at(400));
        assert_eq!(since(State::Syncing, 440, 441), at(440));
        assert_eq!(since(State::Ok, 450, 460), at(450));
        assert_eq!(since(State::Ok, 750, 760), at(450));
        // Trouble that neither a pass nor the link has to do with.
        assert_eq!(since(State::Degraded, 800, 820), at(800));
        assert_eq!(since(State::Ok, 750, 821), at(820));
        // One cause follows the other.
        assert_eq!(since(State::Degraded, 830, 830), at(830));
        assert_eq!(since(State::Degraded, 840, 841), at(830));
        assert_eq!(since(State::Syncing, 842, 842), at(842));
        assert_eq!(since(State::Degraded, 850, 851), at(850));
    }
}
