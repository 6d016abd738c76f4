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

/// What earlier looks have shown; nothing at first.
#[derive(Debug, Default)]
pub(super) struct Standing(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    /// When something was last wrong.
    trouble_at: Option<Timestamp>,
    /// Since when nothing is; none while something is, or before anybody has looked.
    well_since: Option<Timestamp>,
}

impl Standing {
    /// All stays well while passes come and go: that they upload is what they are for.
    pub(super) fn note(&self, mut verdict: Verdict, now: Timestamp) -> Verdict {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match verdict.state {
            State::Syncing => {}
            State::Ok => {
                let since = verdict.since.max(seen.trouble_at.unwrap_or(verdict.since));
                verdict.since = *seen.well_since.get_or_insert(since);
            }
            _ => {
                seen.trouble_at = Some(now);
                seen.well_since = None;
            }
        }
        verdict
    }
}

impl Control {
    /// Writes into the log what the state is whenever it has changed, in the words of `/status`, for as long as it is let.
    pub async fn log_changes(&self) -> Infallible {
        let mut told = None;
        let mut events = self.parts.events.listen_after(None);
        loop {
            let verdict = self.verdict(&self.evidence());
            if told != Some(verdict.state) {
                log(&verdict);
                told = Some(verdict.state);
            }
            let clock = &self.parts.clock;
            tokio::select! {
                _ = events.live.recv() => clock.sleep(SETTLED_AFTER).await,
                () = clock.sleep(LOOK_EVERY) => {}
            }
            // What was told meanwhile is seen by the next look.
            while matches!(events.live.try_recv(), Ok(_) | Err(TryRecvError::Lagged(_))) {}
        }
    }
}

fn log(verdict: &Verdict) {
    let (state, reason) = (verdict.state.name(), verdict.reason.as_str());
    match verdict.state {
        State::Ok | State::Syncing => tracing::info!(state, reason, "the state has changed"),
        _ => tracing::warn!(state, reason, "the state has changed"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp(chrono::DateTime::from_timestamp(seconds, 0).expect("a time"))
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
    }
}
