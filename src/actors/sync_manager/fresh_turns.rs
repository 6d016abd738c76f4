//! When fresh readings have their turn before an old backlog. Pure.

use std::time::Duration;

use crate::domain::{batch::ClaimOrder, reading::ReadingId};

/// While an old backlog drains, fresh readings get a turn this often; they are to arrive within two minutes.
const EVERY: Duration = Duration::from_secs(30);

/// Decides which end of the queue the next claim is for.
#[derive(Clone, Copy, Debug)]
pub(super) struct FreshTurns {
    /// Readings up to this id belong to the backlog, or had their turn.
    after: ReadingId,
    last_turn: Duration,
    /// A turn lasts until no fresh reading is left; within it both ends of the queue take turns.
    open: bool,
    fresh_is_next: bool,
}

impl FreshTurns {
    /// At the start of a pass; readings up to `backlog_end` are the backlog.
    pub(super) fn new(backlog_end: ReadingId, now: Duration) -> Self {
        Self {
            after: backlog_end,
            last_turn: now,
            open: false,
            fresh_is_next: false,
        }
    }

    /// Which readings the next claim is for.
    pub(super) fn next(&mut self, now: Duration) -> ClaimOrder {
        if self.is_due(now) {
            self.last_turn = now;
            self.open = true;
        }
        self.fresh_is_next = self.open && !self.fresh_is_next;
        if self.fresh_is_next {
            self.waiting()
        } else {
            ClaimOrder::Oldest
        }
    }

    /// Whether fresh readings have their turn now.
    pub(super) fn is_on(&self, now: Duration) -> bool {
        self.open || self.is_due(now)
    }

    fn is_due(&self, now: Duration) -> bool {
        now.saturating_sub(self.last_turn) >= EVERY
    }

    /// The fresh readings that had no turn yet.
    pub(super) fn waiting(&self) -> ClaimOrder {
        ClaimOrder::After(self.after)
    }

    /// A claim for fresh readings brought some up to this id, or none.
    pub(super) fn claimed(&mut self, highest: Option<ReadingId>) {
        match highest {
            Some(highest) => self.after = self.after.max(highest),
            None => self.open = false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends_take_turns_while_there_is_something_fresh() {
        let at = Duration::from_secs;
        let mut turns = FreshTurns::new(100, at(0));
        assert_eq!(turns.next(at(0)), ClaimOrder::Oldest);
        assert_eq!(turns.next(at(29)), ClaimOrder::Oldest);
        assert_eq!(turns.next(at(30)), ClaimOrder::After(100));
        turns.claimed(Some(150));
        assert_eq!(turns.next(at(31)), ClaimOrder::Oldest);
        assert_eq!(turns.next(at(31)), ClaimOrder::After(150));
        turns.claimed(None);
        assert_eq!(turns.next(at(32)), ClaimOrder::Oldest);
        assert_eq!(turns.next(at(33)), ClaimOrder::Oldest);
        assert_eq!(turns.next(at(60)), ClaimOrder::After(150));
    }
}
