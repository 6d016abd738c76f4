//! When each meter was last measured, by the readings that are claimed: most are written by other programs, which tell
//! nobody else.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    time::Duration,
};

use crate::domain::timestamp::Timestamp;

/// While a backlog drains, every batch brings newer ones than the one before.
const WRITE_EVERY: Duration = Duration::from_secs(1);

/// What is not written down yet; nothing at first.
#[derive(Debug, Default)]
pub struct LastReadings {
    unwritten: RefCell<BTreeMap<String, Timestamp>>,
    written_at: Cell<Option<Duration>>,
}

impl LastReadings {
    pub(super) fn note(&self, newest: BTreeMap<String, Timestamp>) {
        let mut unwritten = self.unwritten.borrow_mut();
        for (meter, time) in newest {
            let known = unwritten.entry(meter).or_insert(time);
            *known = time.max(*known);
        }
    }

    /// What is to be written down now. What is lost with a transaction comes again with its readings, or with later ones.
    pub(super) fn take_if_due(
        &self,
        more_follow: bool,
        now: Duration,
    ) -> Option<BTreeMap<String, Timestamp>> {
        let written_at = self.written_at.get();
        let is_early = written_at.is_some_and(|at| now.saturating_sub(at) < WRITE_EVERY);
        if self.unwritten.borrow().is_empty() || (more_follow && is_early) {
            return None;
        }
        self.written_at.set(Some(now));
        Some(self.unwritten.take())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn newest(entries: &[(&str, i64)]) -> BTreeMap<String, Timestamp> {
        let at = |seconds| Timestamp(chrono::DateTime::from_timestamp(seconds, 0).expect("a time"));
        let entries = entries.iter();
        entries
            .map(|(meter, seconds)| ((*meter).to_owned(), at(*seconds)))
            .collect()
    }

    #[test]
    fn a_drain_writes_once_a_second_and_at_its_end() {
        let last_readings = LastReadings::default();
        let after = Duration::from_millis;
        assert_eq!(last_readings.take_if_due(false, after(0)), None);
        last_readings.note(newest(&[("a", 7)]));
        let first = last_readings.take_if_due(true, after(0));
        assert_eq!(first, Some(newest(&[("a", 7)])));
        last_readings.note(newest(&[("a", 9), ("b", 1)]));
        assert_eq!(last_readings.take_if_due(true, after(900)), None);
        last_readings.note(newest(&[("a", 8)]));
        let both = newest(&[("a", 9), ("b", 1)]);
        let later = last_readings.take_if_due(true, after(1_000));
        assert_eq!(later.as_ref(), Some(&both));
        last_readings.note(newest(&[("c", 1)]));
        let at_the_end = last_readings.take_if_due(false, after(1_001));
        assert_eq!(at_the_end, Some(newest(&[("c", 1)])));
        assert_eq!(last_readings.take_if_due(false, after(9_000)), None);
    }
}
