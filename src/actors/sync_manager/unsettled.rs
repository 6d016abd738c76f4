//! Outcomes that are known and could not be written down: other batches do not wait for them, and nothing is sent again for
//! their sake. They belong to the process; were they lost, their manifests would have them sent again under the same keys.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    time::Duration,
};

use super::{delivery::Delivered, pass::Attempt};
use crate::domain::batch::IdempotencyKey;

/// So often is one of them written down again: whatever keeps it may keep all other writing waiting meanwhile.
const AGAIN_EVERY: Duration = Duration::from_secs(30);
/// With so many of them nothing new is begun.
const MOST: usize = 16;

/// A batch whose outcome is to be written down.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) attempt: Attempt,
    pub(super) delivered: Delivered,
    /// Why that failed last.
    pub(super) words: String,
}

impl Open {
    fn key(&self) -> &IdempotencyKey {
        &self.attempt.batch.manifest.key
    }
}

/// What waits to be written down, the one that was tried longest ago first.
#[derive(Debug, Default)]
pub(super) struct Unsettled {
    open: RefCell<VecDeque<Open>>,
    /// When the next one is tried, by the clock.
    next_at: Cell<Duration>,
    /// Batches whose suspects are proven bad and could not be set aside yet, and why.
    condemned: RefCell<Vec<(IdempotencyKey, String)>>,
}

impl Unsettled {
    pub(super) fn set_aside(&self, open: Open) {
        self.open.borrow_mut().push_back(open);
    }

    /// The suspects of these batches are to be set aside later.
    pub(super) fn condemn_later(&self, roots: Vec<IdempotencyKey>, words: &str) {
        for root in roots {
            self.condemned(&root);
            let condemned = (root, words.to_owned());
            self.condemned.borrow_mut().push(condemned);
        }
    }

    /// The batches whose suspects are to be set aside.
    pub(super) fn to_condemn(&self) -> Vec<IdempotencyKey> {
        let condemned = self.condemned.borrow();
        condemned.iter().map(|(root, _)| root.clone()).collect()
    }

    /// The suspects of this batch are set aside.
    pub(super) fn condemned(&self, root: &IdempotencyKey) {
        self.condemned
            .borrow_mut()
            .retain(|(known, _)| known != root);
    }

    /// The next one need not be waited for: a pass begins, or one has just been written down.
    pub(super) fn hurry(&self) {
        self.next_at.set(Duration::ZERO);
    }

    /// The one to write down now, if any.
    pub(super) fn next_due(&self, now: Duration) -> Option<Open> {
        if now < self.next_at.get() {
            return None;
        }
        let open = self.open.borrow_mut().pop_front()?;
        self.next_at.set(now + AGAIN_EVERY);
        Some(open)
    }

    pub(super) fn contains(&self, key: &IdempotencyKey) -> bool {
        self.open.borrow().iter().any(|open| open.key() == key)
    }

    /// Whether there are too many, together with so many others, to begin anything new.
    pub(super) fn is_full_with(&self, others: usize) -> bool {
        self.open.borrow().len() + others >= MOST
    }

    /// What holds them up, for people; none where nothing waits.
    pub(super) fn describe(&self) -> Option<String> {
        let open = self.open.borrow();
        let Some(last) = open.back() else {
            let condemned = self.condemned.borrow();
            let (_, words) = condemned.last()?;
            return Some(format!(
                "readings that the Client System refuses could not be set aside yet: {words}"
            ));
        };
        let readings: usize = open.iter().map(|open| open.attempt.batch.len()).sum();
        let words = &last.words;
        Some(format!(
            "what the Client System answered about at least {readings} readings could not be written down yet: {words}"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        actors::sync_manager::decision::{Decision, Next},
        domain::{batch::Settlement, outcome::UploadOutcome},
        messages::database_writer::Settled,
    };

    fn open(name: &str) -> Open {
        Open {
            attempt: Attempt::specimen(name),
            delivered: Delivered {
                outcome: UploadOutcome::Stored,
                took: Duration::ZERO,
                decision: Decision {
                    settlement: Some(Settlement::Stored),
                    next: Next::GoOn,
                },
                settled: Ok(Settled::default()),
            },
            words: "locked".to_owned(),
        }
    }

    #[test]
    fn one_is_tried_at_a_time_and_the_next_at_once_after_a_success() {
        let unsettled = Unsettled::default();
        for name in ["a", "b"] {
            unsettled.set_aside(open(name));
        }
        let key = |open: Open| open.attempt.batch.manifest.key.0;
        let at = Duration::from_secs;
        assert_eq!(unsettled.next_due(at(5)).map(key), Some("a".to_owned()));
        assert!(unsettled.next_due(at(34)).is_none());
        unsettled.set_aside(open("a"));
        assert_eq!(unsettled.next_due(at(35)).map(key), Some("b".to_owned()));
        unsettled.hurry();
        assert_eq!(unsettled.next_due(at(36)).map(key), Some("a".to_owned()));
        assert!(unsettled.describe().is_none());
    }

    #[test]
    fn there_is_an_end_to_them() {
        let unsettled = Unsettled::default();
        for number in 0..MOST - 2 {
            unsettled.set_aside(open(&number.to_string()));
        }
        assert!(!unsettled.is_full_with(1));
        assert!(unsettled.is_full_with(2));
        assert!(unsettled.contains(&IdempotencyKey("3".to_owned())));
        let words = unsettled.describe().expect("words");
        assert!(
            words.contains("at least 14 readings") && words.ends_with("locked"),
            "{words}"
        );
    }
}
