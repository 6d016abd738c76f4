//! How every supervised actor fares, for `/status` and for tests.

use std::{
    borrow::Cow,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{progress::Progress, pulse::Pulse};
use crate::{
    clock::Clock,
    domain::status::{ActorState, ActorStatus},
};

/// Told about every restart: the actor's name and the failure in words.
pub type RestartListener = Arc<dyn Fn(Cow<'static, str>, &str) + Send + Sync>;

/// All actors of one service instance. Cheap to clone; all clones show the same.
#[derive(Clone)]
pub struct Board {
    clock: Clock,
    entries: Arc<Mutex<Vec<Entry>>>,
    pulse: Pulse,
    listener: RestartListener,
}

struct Entry {
    status: ActorStatus,
    progress: Progress,
}

impl Board {
    /// Without actors.
    pub fn new(clock: Clock, listener: RestartListener) -> Self {
        Self {
            clock,
            entries: Arc::default(),
            pulse: Pulse::default(),
            listener,
        }
    }

    /// The signs of life of the thread that all of them share.
    pub fn pulse(&self) -> Pulse {
        self.pulse.clone()
    }

    /// All actors, in the order in which they were started.
    pub fn actors(&self) -> Vec<ActorStatus> {
        let entries = self.entries();
        entries.iter().map(|entry| entry.status.clone()).collect()
    }

    /// All actors, each with the number of pieces of work that it has in hand.
    pub fn work_in_hand(&self) -> Vec<(ActorStatus, usize)> {
        let entries = self.entries();
        let work = |entry: &Entry| (entry.status.clone(), entry.progress.pieces_in_hand());
        entries.iter().map(work).collect()
    }

    pub(super) fn enter(&self, name: &'static str, progress: Progress) -> usize {
        let status = ActorStatus {
            name: Cow::Borrowed(name),
            state: ActorState::Running,
            restarts: 0,
            generation: 1,
            last_failure: None,
            last_failure_at: None,
        };
        let mut entries = self.entries();
        entries.push(Entry { status, progress });
        entries.len() - 1
    }

    pub(super) fn note_failure(&self, seat: usize, failure: &str) {
        let name = self.change(seat, |entry| {
            entry.state = ActorState::Restarting;
            entry.last_failure = Some(failure.to_owned());
            entry.last_failure_at = Some(self.clock.now().into());
            entry.restarts += 1;
            entry.generation += 1;
        });
        if let Some(name) = name {
            (self.listener)(name, failure);
        }
    }

    pub(super) fn note_state(&self, seat: usize, state: ActorState) {
        self.change(seat, |entry| entry.state = state);
    }

    fn change(
        &self,
        seat: usize,
        change: impl FnOnce(&mut ActorStatus),
    ) -> Option<Cow<'static, str>> {
        self.entries().get_mut(seat).map(|entry| {
            change(&mut entry.status);
            entry.status.name.clone()
        })
    }

    fn entries(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
