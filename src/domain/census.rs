//! Counts the queue without scanning it: what was counted once is only counted again when another program
//! may have changed it, and then a segment at a time.

use super::{reading::ReadingId, reading_ids::ReadingIds};

/// Pending readings per stretch of ids. The last segment is open: new readings join it until it is full.
#[derive(Clone, Debug, Default)]
pub struct Census {
    /// Upper id (inclusive) and count, by ascending id.
    segments: Vec<Segment>,
    next_to_verify: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Segment {
    upper: ReadingId,
    count: u64,
}

/// A stretch of ids to be counted: `after` exclusive, `upper` inclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// Ids above this one.
    pub after: ReadingId,
    /// Ids up to this one.
    pub upper: ReadingId,
}

impl Census {
    /// Ids that one segment spans at most, and with it the rows that one count reads at most.
    pub const SEGMENT_IDS: i64 = 50_000;

    /// Readings counted so far.
    pub fn total(&self) -> u64 {
        self.segments.iter().map(|segment| segment.count).sum()
    }

    /// Into how many stretches they are divided.
    pub fn stretches(&self) -> usize {
        self.segments.len()
    }

    /// The highest id that was taken into account.
    pub fn counted_through(&self) -> ReadingId {
        self.segments
            .last()
            .map_or(ReadingId::MIN, |segment| segment.upper)
    }

    /// The stretches that have to be counted to reach `highest`; the first begins after what is known.
    pub fn uncounted(&self, lowest: ReadingId, highest: ReadingId) -> Option<Stretch> {
        let after = match self.segments.last() {
            Some(segment) => segment.upper,
            None => lowest.saturating_sub(1),
        };
        (highest > after).then(|| Stretch {
            after,
            upper: highest.min(after.saturating_add(Self::SEGMENT_IDS)),
        })
    }

    /// Notes the count of a stretch that [`Census::uncounted`] or [`Census::next_stretch_to_verify`] gave.
    pub fn note(&mut self, stretch: Stretch, count: u64) {
        if let Some(segment) = self
            .segments
            .iter_mut()
            .find(|segment| segment.upper == stretch.upper)
        {
            segment.count = count;
            return;
        }
        let open = self
            .segments
            .len()
            .checked_sub(2)
            .map(|previous| self.segments[previous].upper);
        match self.segments.last_mut() {
            Some(last)
                if open.is_some_and(|lower| {
                    stretch.upper.saturating_sub(lower) <= Self::SEGMENT_IDS
                }) =>
            {
                *last = Segment {
                    upper: stretch.upper,
                    count: last.count + count,
                };
            }
            _ => self.segments.push(Segment {
                upper: stretch.upper,
                count,
            }),
        }
    }

    /// Takes readings out that left the queue by our own hand.
    pub fn remove(&mut self, ids: &ReadingIds) {
        for id in ids.iter() {
            let at = self.segments.partition_point(|segment| segment.upper < id);
            if let Some(segment) = self.segments.get_mut(at) {
                segment.count = segment.count.saturating_sub(1);
            }
        }
        self.forget_empty_segments();
    }

    /// The next known stretch to count again, in turn, because another program may have changed it.
    /// None once all were offered since the last call of [`Census::verify_from_start`].
    pub fn next_stretch_to_verify(&mut self) -> Option<Stretch> {
        let upper = self.segments.get(self.next_to_verify)?.upper;
        let after = match self.next_to_verify.checked_sub(1) {
            Some(previous) => self.segments[previous].upper,
            None => ReadingId::MIN,
        };
        self.next_to_verify += 1;
        Some(Stretch { after, upper })
    }

    /// Begins a new round of verification.
    pub fn verify_from_start(&mut self) {
        self.next_to_verify = 0;
    }

    fn forget_empty_segments(&mut self) {
        // An empty segment before a full one can join it; the last one keeps how far was counted.
        if self.segments.len() < 2 {
            return;
        }
        let before = self.segments.len();
        let last = self.segments.len() - 1;
        let mut at = 0;
        self.segments.retain(|segment| {
            let keep = segment.count > 0 || at == last;
            at += 1;
            keep
        });
        self.next_to_verify = self
            .next_to_verify
            .saturating_sub(before - self.segments.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn count(queue: &BTreeSet<i64>, stretch: Stretch) -> u64 {
        queue
            .iter()
            .filter(|id| **id > stretch.after && **id <= stretch.upper)
            .count() as u64
    }

    fn catch_up(census: &mut Census, queue: &BTreeSet<i64>) {
        let (Some(lowest), Some(highest)) = (queue.first(), queue.last()) else {
            return;
        };
        while let Some(stretch) = census.uncounted(*lowest, *highest) {
            census.note(stretch, count(queue, stretch));
        }
    }

    #[derive(Clone, Debug)]
    enum Step {
        Append(u16, u32),
        Settle(u16),
        ForeignDelete(u16),
    }

    proptest! {
        #[test]
        fn agrees_with_a_full_count(steps in prop::collection::vec(prop_oneof![
            (1_u16..50, 1_u32..30_000).prop_map(|(n, gap)| Step::Append(n, gap)),
            (1_u16..80).prop_map(Step::Settle),
            (1_u16..10).prop_map(Step::ForeignDelete),
        ], 1..40)) {
            let (mut census, mut queue, mut highest) = (Census::default(), BTreeSet::new(), 0_i64);
            for step in steps {
                match step {
                    Step::Append(n, gap) => for _ in 0..n { highest += i64::from(gap); queue.insert(highest); },
                    Step::Settle(n) => {
                        let ids: ReadingIds = queue.iter().copied().filter(|id| *id <= census.counted_through()).take(n.into()).collect();
                        ids.iter().for_each(|id| { queue.remove(&id); });
                        census.remove(&ids);
                    }
                    Step::ForeignDelete(n) => {
                        let gone: Vec<_> = queue.iter().copied().step_by(7).take(n.into()).collect();
                        gone.iter().for_each(|id| { queue.remove(id); });
                        census.verify_from_start();
                        while let Some(stretch) = census.next_stretch_to_verify() {
                            let found = count(&queue, stretch);
                            census.note(stretch, found);
                        }
                    }
                }
                catch_up(&mut census, &queue);
                prop_assert_eq!(census.total(), queue.len() as u64);
            }
        }
    }
}
