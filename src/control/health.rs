//! Whether the process should be restarted, and whether it can do its work: from snapshots alone.

use super::{Control, words};
use crate::{
    domain::{
        status::{ActorState, ActorStatus},
        timestamp::Timestamp,
    },
    supervision::pulse::Pulse,
};

/// A restart that takes longer than this is no restart any more: the supervisor never waits that long.
const LONGEST_RESTART_SECONDS: f64 = 120.0;

/// The outcome of a health question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// All is as it should be.
    Fine,
    /// What is not, in words.
    Troubled(Vec<String>),
}

impl Control {
    /// Whether the process is alive and its parts move. If not, only a restart of the process helps.
    pub fn liveness(&self) -> Health {
        let now = self.now();
        self.silence()
            .unwrap_or_else(|| self.health(|actor| standstill(actor, now)))
    }

    /// The signs of life of the thread that all actors share.
    pub fn pulse(&self) -> Pulse {
        self.parts.board.pulse()
    }

    /// Whether the Sync Database and all parts can be used. Being offline is ready: readings are kept.
    pub fn readiness(&self) -> Health {
        if let Some(silent) = self.silence() {
            return silent;
        }
        let actors = self.health(|actor| match actor.state {
            ActorState::Running => None,
            ActorState::Stopped => Some("has ended".to_owned()),
            ActorState::Restarting => Some("is being restarted".to_owned()),
        });
        let database = self.parts.database.read(|database| {
            match (&database.failing_since, database.counted) {
                (Some((words, since)), _) => Some(format!(
                    "the Sync Database cannot be used since {since}: {words}"
                )),
                (None, false) => Some("the queue has not been counted yet".to_owned()),
                (None, true) => None,
            }
        });
        match (actors, database) {
            (health, None) => health,
            (Health::Fine, Some(trouble)) => Health::Troubled(vec![trouble]),
            (Health::Troubled(mut troubles), Some(trouble)) => {
                troubles.push(trouble);
                Health::Troubled(troubles)
            }
        }
    }

    /// What is troubled where the thread of the actors gives no sign of life: whatever they last said.
    fn silence(&self) -> Option<Health> {
        let silence = self.pulse().silent_for()?;
        Some(Health::Troubled(vec![words::silent(silence)]))
    }

    fn health(&self, judge: impl Fn(&ActorStatus) -> Option<String>) -> Health {
        let troubles: Vec<String> = self
            .parts
            .board
            .actors()
            .iter()
            .filter_map(|actor| judge(actor).map(|words| format!("the {} {words}", actor.name)))
            .collect();
        if troubles.is_empty() {
            Health::Fine
        } else {
            Health::Troubled(troubles)
        }
    }
}

fn standstill(actor: &ActorStatus, now: Timestamp) -> Option<String> {
    match actor.state {
        ActorState::Running => None,
        ActorState::Stopped => Some("has ended".to_owned()),
        ActorState::Restarting => {
            let since = actor.last_failure_at?;
            (now.seconds_since(since) > LONGEST_RESTART_SECONDS)
                .then(|| format!("has been restarting since {since}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta};

    use super::*;

    #[test]
    fn a_restart_is_no_standstill_unless_it_never_ends() {
        let at = |seconds| Timestamp(DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds));
        let trouble = |state, now| {
            let actor = ActorStatus {
                name: "heartbeat".into(),
                state,
                restarts: 1,
                generation: 2,
                last_failure: None,
                last_failure_at: Some(at(0)),
            };
            standstill(&actor, at(now))
        };
        assert_eq!(trouble(ActorState::Running, 1_000), None);
        assert_eq!(trouble(ActorState::Restarting, 120), None);
        assert!(trouble(ActorState::Restarting, 121).is_some());
        assert!(trouble(ActorState::Stopped, 0).is_some());
    }
}
