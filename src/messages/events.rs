//! Events that any part tells and whoever watches may hear.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::broadcast;

use crate::domain::event::{Event, EventKind};

/// Spreads events and remembers the last ones. Cheap to clone; all clones are the same bus.
#[derive(Clone, Debug)]
pub struct EventBus {
    live: broadcast::Sender<Event>,
    recent: Arc<Mutex<VecDeque<Event>>>,
}

impl Default for EventBus {
    fn default() -> Self {
        Self {
            live: broadcast::Sender::new(256),
            recent: Arc::default(),
        }
    }
}

impl EventBus {
    const REMEMBERED: usize = 50;

    /// Tells an event.
    pub fn tell(&self, at: crate::domain::timestamp::Timestamp, kind: EventKind) {
        let event = Event { at, kind };
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        if recent.len() == Self::REMEMBERED {
            recent.pop_back();
        }
        recent.push_front(event.clone());
        // That nobody listens is no failure.
        let _ = self.live.send(event);
    }

    /// The last events, newest first.
    pub fn recent(&self, count: usize) -> Vec<Event> {
        self.recent
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .take(count)
            .cloned()
            .collect()
    }

    /// All events from now on.
    pub fn listen(&self) -> broadcast::Receiver<Event> {
        self.live.subscribe()
    }
}
