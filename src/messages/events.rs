//! Events that any part tells and whoever watches may hear.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::broadcast;
use uuid::Uuid;

use crate::domain::{
    event::{Event, EventKind},
    timestamp::Timestamp,
};

/// Spreads events and remembers the last ones. Cheap to clone; all clones are the same bus.
#[derive(Clone, Debug)]
pub struct EventBus {
    live: broadcast::Sender<Event>,
    told: Arc<Mutex<Told>>,
    /// Tells the events of this process from those of others.
    run: Arc<str>,
}

#[derive(Debug, Default)]
struct Told {
    count: u64,
    /// The newest first.
    recent: VecDeque<Event>,
}

impl Default for EventBus {
    fn default() -> Self {
        Self {
            live: broadcast::Sender::new(Self::REMEMBERED),
            told: Arc::default(),
            run: Uuid::new_v4().simple().to_string().into(),
        }
    }
}

/// What somebody who listens hears.
pub struct Listening {
    /// Events that were told before, the oldest first.
    pub earlier: VecDeque<Event>,
    /// How many of the oldest one's names were heard already.
    pub names_heard: usize,
    /// Whether events are missing before them.
    pub has_missed: bool,
    /// Events from now on.
    pub live: broadcast::Receiver<Event>,
    /// The number of the last event before all these.
    heard: u64,
    run: Arc<str>,
}

impl Listening {
    /// The id after which everything is told that was not told before this listening, and in it.
    pub fn first_id(&self) -> String {
        match self.names_heard {
            0 => format!("{}-{}", self.run, self.heard),
            names => format!("{}-{}.{names}", self.run, self.heard + 1),
        }
    }

    /// The id after which everything is told that comes after this event.
    pub fn id(&self, event: &Event) -> String {
        format!("{}-{}", self.run, event.number)
    }

    /// The id after which this event is told but for so many of its names, and everything after it.
    pub fn id_within(&self, event: &Event, names: usize) -> String {
        format!("{}.{names}", self.id(event))
    }
}

impl EventBus {
    const REMEMBERED: usize = 256;

    /// Tells an event.
    pub fn tell(&self, at: Timestamp, kind: EventKind) {
        let mut told = self.told();
        told.count += 1;
        let event = Event {
            number: told.count,
            at,
            kind,
        };
        told.recent.truncate(Self::REMEMBERED - 1);
        told.recent.push_front(event.clone());
        // That nobody listens is no failure.
        let _ = self.live.send(event);
    }

    /// The last events, newest first.
    pub fn recent(&self, count: usize) -> Vec<Event> {
        self.told().recent.iter().take(count).cloned().collect()
    }

    /// All events from now on; those after `last_seen` as well, which is the name of one.
    pub fn listen_after(&self, last_seen: Option<&str>) -> Listening {
        let told = self.told();
        let place = last_seen.map(|id| self.place_of(id, told.count));
        let mut names_heard = 0;
        let (earlier, has_missed) = match place {
            None => (VecDeque::new(), false),
            // Of an earlier process, or of none: nobody knows how many are missing.
            Some(None) => (VecDeque::new(), true),
            Some(Some((seen, names))) => {
                let mut earlier = VecDeque::new();
                let newer = told.recent.iter().take_while(|event| event.number > seen);
                newer.for_each(|event| earlier.push_front(event.clone()));
                let has_missed = told.count.saturating_sub(seen) > earlier.len() as u64;
                if !has_missed {
                    names_heard = names;
                }
                (earlier, has_missed)
            }
        };
        Listening {
            names_heard,
            heard: told.count - earlier.len() as u64,
            earlier,
            has_missed,
            live: self.live.subscribe(),
            run: self.run.clone(),
        }
    }

    /// The last event that was heard whole, and how many names of the next one were.
    fn place_of(&self, id: &str, told: u64) -> Option<(u64, usize)> {
        let (run, place) = id.rsplit_once('-')?;
        let (number, names) = place.split_once('.').unwrap_or((place, "0"));
        let (number, names) = (number.parse::<u64>().ok()?, names.parse().ok()?);
        let is_ours = *run == *self.run && number <= told;
        let heard = if names == 0 {
            Some(number)
        } else {
            number.checked_sub(1)
        };
        heard.filter(|_| is_ours).map(|heard| (heard, names))
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::connectivity::LinkChange;

    fn tell(bus: &EventBus, count: usize) {
        for _ in 0..count {
            let kind = EventKind::Link {
                change: LinkChange::Connected,
                reason: None,
            };
            bus.tell(Timestamp(chrono::DateTime::UNIX_EPOCH), kind);
        }
    }

    fn numbers(listening: &Listening) -> Vec<u64> {
        listening.earlier.iter().map(|event| event.number).collect()
    }

    #[test]
    fn whoever_comes_back_hears_what_was_told_meanwhile() {
        let bus = EventBus::default();
        tell(&bus, 3);
        let first = bus.listen_after(None);
        assert!(first.earlier.is_empty() && !first.has_missed);
        let id = first.id(&bus.recent(2)[1]);
        let back = bus.listen_after(Some(&id));
        assert_eq!((numbers(&back), back.has_missed), (vec![3], false));
        tell(&bus, EventBus::REMEMBERED);
        let late = bus.listen_after(Some(&id));
        assert_eq!(late.earlier.len(), EventBus::REMEMBERED);
        assert!(late.has_missed);
    }

    #[test]
    fn whoever_was_cut_off_before_or_within_an_event_hears_the_rest() {
        let bus = EventBus::default();
        let nothing_yet = bus.listen_after(None).first_id();
        tell(&bus, 2);
        let back = bus.listen_after(Some(&nothing_yet));
        assert_eq!((numbers(&back), back.has_missed), (vec![1, 2], false));
        assert_eq!(back.first_id(), nothing_yet);
        let within = back.id_within(&back.earlier[1], 1);
        let back = bus.listen_after(Some(&within));
        assert_eq!((numbers(&back), back.names_heard), (vec![2], 1));
        assert_eq!(back.first_id(), within);
        let end = bus.listen_after(None).first_id();
        assert!(bus.listen_after(Some(&end)).earlier.is_empty());
    }

    #[test]
    fn names_of_other_processes_and_of_nothing_are_no_names() {
        let bus = EventBus::default();
        tell(&bus, 1);
        let other = EventBus::default();
        tell(&other, 1);
        let foreign = other.listen_after(None).id(&other.recent(1)[0]);
        let ahead = format!("{}-2", bus.run);
        for id in [
            "",
            "-",
            "7",
            "x-1",
            &foreign,
            &ahead,
            "18446744073709551616",
            &format!("{}-0.1", bus.run),
            &format!("{}-1.x", bus.run),
        ] {
            let listening = bus.listen_after(Some(id));
            assert!(listening.has_missed && listening.earlier.is_empty(), "{id}");
        }
    }
}
