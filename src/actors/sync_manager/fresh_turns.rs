//! When fresh readings have their turn before an old backlog. Pure.

use std::time::Duration;

use crate::domain::{batch::ClaimOrder, reading::ReadingId};

/// While an old backlog drains, fresh readings get a turn this often; they are to arrive within two minutes.
const EVERY: Duration = Duration::from_secs(30);

/// More batches than these have no hope to be sent as fresh, and are old by the next turn.
const FLOOD: i64 = 4;

/// Decides which end of the queue the next claim is for.
#[derive(Clone, Copy, Debug)]
pub(super) struct FreshTurns {
    /// Readings up to this id belong to the backlog, or had their turn.
    after: ReadingId,
    /// Up to which ids readings were there at the turn before the last one, and at the last one. What waits since then is
    /// old by now, so that a flood in the middle of a pass holds up nobody who comes after it.
    marks: [ReadingId; 2],
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
            marks: [backlog_end; 2],
            last_turn: now,
            open: false,
            fresh_is_next: false,
        }
    }

    /// Begins a turn; readings up to `backlog_end` are there by now, and a batch takes so many.
    pub(super) fn begin(&mut self, backlog_end: ReadingId, batch: i64, now: Duration) {
        let [before, last] = self.marks;
        let is_flood = last.saturating_sub(self.after) > batch.saturating_mul(FLOOD);
        self.after = self.after.max(if is_flood { last } else { before });
        self.marks = [last, backlog_end];
        self.last_turn = now;
        self.open = true;
    }

    /// Which readings the next claim is for.
    pub(super) fn next(&mut self) -> ClaimOrder {
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

    /// Whether another turn is to begin.
    pub(super) fn is_due(&self, now: Duration) -> bool {
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
        assert_eq!(turns.next(), ClaimOrder::Oldest);
        assert!(!turns.is_due(at(29)) && turns.is_due(at(30)));
        turns.begin(160, 10, at(30));
        assert_eq!(turns.next(), ClaimOrder::After(100));
        turns.claimed(Some(150));
        assert_eq!(turns.next(), ClaimOrder::Oldest);
        assert_eq!(turns.next(), ClaimOrder::After(150));
        turns.claimed(None);
        assert_eq!(turns.next(), ClaimOrder::Oldest);
        assert_eq!(turns.next(), ClaimOrder::Oldest);
        turns.begin(170, 10, at(60));
        assert_eq!(turns.next(), ClaimOrder::After(150));
    }

    #[test]
    fn a_flood_that_comes_later_is_a_backlog_soon() {
        let at = Duration::from_secs;
        let mut turns = FreshTurns::new(0, at(0));
        turns.begin(100_000, 1_000, at(30));
        turns.claimed(Some(1_000));
        turns.begin(100_010, 1_000, at(60));
        assert_eq!(turns.waiting(), ClaimOrder::After(100_000));
        turns.begin(102_010, 1_000, at(90));
        assert_eq!(turns.waiting(), ClaimOrder::After(100_000));
        // What is no flood has another turn.
        turns.begin(102_020, 1_000, at(120));
        assert_eq!(turns.waiting(), ClaimOrder::After(100_010));
        turns.begin(102_030, 1_000, at(150));
        assert_eq!(turns.waiting(), ClaimOrder::After(102_010));
    }
}
