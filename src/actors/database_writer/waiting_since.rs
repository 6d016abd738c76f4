//! Since when the oldest reading of the queue waits. Pure.
//!
//! Its row says when it came in, but many a database writes that in the time of its own zone: then it seems to wait for hours
//! when it has just come, or to come in only later. What was seen of the queue bounds it from both sides.

use std::collections::VecDeque;

use crate::{
    domain::{reading::ReadingId, timestamp::Timestamp},
    storage::QueueBounds,
};

/// Marks that are kept; the middle ones are given up first.
const MARKS: usize = 256;

/// What came in between two looks.
#[derive(Clone, Copy, Debug)]
struct Mark {
    /// The highest id before.
    after: ReadingId,
    /// The highest id then.
    through: ReadingId,
    /// When the earlier look began.
    since: Timestamp,
}

#[derive(Debug, Default)]
pub(super) struct WaitingSince {
    marks: VecDeque<Mark>,
    /// The highest id that was ever seen, and when the last look began.
    seen: Option<(ReadingId, Timestamp)>,
    /// The first reading of the queue, and when it was first seen there.
    first: Option<(ReadingId, Timestamp)>,
}

impl WaitingSince {
    /// What a look found that began then; none where nothing waits.
    pub(super) fn look(&mut self, bounds: &QueueBounds, began: Timestamp) -> Option<Timestamp> {
        let (before, highest) = (self.seen, bounds.highest.unwrap_or(ReadingId::MIN));
        let seen = before.map_or(highest, |(seen, _)| seen.max(highest));
        self.seen = Some((seen, began));
        if let Some((after, since)) = before.filter(|(after, _)| highest > *after) {
            self.mark(Mark {
                after,
                through: highest,
                since,
            });
        }
        let Some(lowest) = bounds.lowest_pending else {
            self.marks.clear();
            self.first = None;
            return None;
        };
        while self.marks.front().is_some_and(|mark| mark.through < lowest) {
            self.marks.pop_front();
        }
        let known = self.first.filter(|(id, _)| *id == lowest);
        let (_, seen_at) = *self.first.insert(known.unwrap_or((lowest, began)));
        let not_before = self.marks.front().filter(|mark| mark.after < lowest);
        let not_before = not_before.map(|mark| mark.since.min(seen_at));
        let told = bounds.oldest_pending_at.filter(|told| *told <= began);
        Some(told.unwrap_or(seen_at)).max(not_before)
    }

    fn mark(&mut self, mark: Mark) {
        if self.marks.len() == MARKS {
            // What came with the second half of them is told to be as old as what came before it.
            let (first, last) = (self.marks[MARKS / 2], self.marks[MARKS - 1]);
            self.marks.truncate(MARKS / 2);
            self.marks.push_back(Mark {
                through: last.through,
                ..first
            });
        }
        self.marks.push_back(mark);
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta};

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp(DateTime::UNIX_EPOCH + TimeDelta::days(1) + TimeDelta::seconds(seconds))
    }

    /// The ids of the queue, where each row says that it is so many hours old.
    fn queue(ids: std::ops::Range<i64>, hours: i64, now: i64) -> QueueBounds {
        let is_empty = ids.is_empty();
        QueueBounds {
            highest: Some(ids.end - 1),
            lowest_pending: (!is_empty).then_some(ids.start),
            oldest_pending_at: (!is_empty).then(|| at(now - hours * 3_600)),
        }
    }

    #[test]
    fn rows_of_another_zone_are_as_old_as_they_were_seen_to_be() {
        for hours in [5, -5] {
            let mut waiting = WaitingSince::default();
            assert_eq!(waiting.look(&queue(1..1, hours, 0), at(0)), None);
            for minute in 1..2_000 {
                let now = minute * 60;
                // Two of the last minutes are always in the queue.
                let ids = (minute - 2).max(0) * 10 + 1..minute * 10 + 1;
                let since = waiting.look(&queue(ids, hours, now), at(now));
                let age = at(now).0 - since.expect("readings").0;
                assert!(age <= TimeDelta::minutes(3), "{hours} {minute}: {age}");
            }
        }
    }

    #[test]
    fn rows_that_were_there_before_are_as_old_as_they_say() {
        let mut waiting = WaitingSince::default();
        for now in [0, 60, 120] {
            let since = waiting.look(&queue(1..50, 5, now), at(now));
            assert_eq!(since, Some(at(now - 5 * 3_600)));
        }
        // Others behind them change nothing about that.
        let since = waiting.look(&queue(40..90, 5, 180), at(180));
        assert_eq!(since, Some(at(180 - 5 * 3_600)));
        assert_eq!(waiting.look(&queue(60..90, 5, 240), at(240)), Some(at(120)));
    }

    #[test]
    fn a_reading_that_stays_grows_older_however_many_come_behind_it() {
        let mut waiting = WaitingSince::default();
        waiting.look(&queue(1..1, 0, 0), at(0));
        for second in 1..10_000 {
            let mut bounds = queue(1..second + 1, 0, second);
            bounds.oldest_pending_at = Some(at(1));
            assert_eq!(waiting.look(&bounds, at(second)), Some(at(1)));
            assert!(waiting.marks.len() <= MARKS + 1);
        }
    }
}
