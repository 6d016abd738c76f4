//! How every supervised actor fares, for `/status` and for tests.

use std::{
    borrow::Cow,
    sync::{Arc, Mutex, PoisonError},
};

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
    entries: Arc<Mutex<Vec<ActorStatus>>>,
    listener: RestartListener,
}

impl Board {
    /// Without actors.
    pub fn new(clock: Clock, listener: RestartListener) -> Self {
        Self {
            clock,
            entries: Arc::default(),
            listener,
        }
    }

    /// All actors, in the order in which they were started.
    pub fn actors(&self) -> Vec<ActorStatus> {
        self.entries
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(super) fn enter(&self, name: &'static str) -> usize {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.push(ActorStatus {
            name: Cow::Borrowed(name),
            state: ActorState::Running,
            restarts: 0,
            generation: 1,
            last_failure: None,
            last_failure_at: None,
        });
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
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.get_mut(seat).map(|entry| {
            change(entry);
            entry.name.clone()
        })
    }
}
