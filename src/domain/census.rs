//! Counts the queue without scanning it: what was counted once is only counted again when another program
//! may have changed it, and then a segment at a time.

use std::ops::RangeInclusive;

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
    /// Our own hand took readings out that another program may have taken out before.
    is_doubted: bool,
}

impl Segment {
    fn new(stretch: Stretch, count: u64) -> Self {
        Self {
            upper: stretch.upper,
            count,
            is_doubted: false,
        }
    }
}

/// A stretch that was counted before, and what was found there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownStretch {
    /// Where.
    pub stretch: Stretch,
    /// Pending readings as of the last count, less those that were taken out since.
    pub count: u64,
}

impl KnownStretch {
    /// Stretches that follow each other, as one.
    pub fn joined(stretches: &[Self]) -> Option<Self> {
        let (first, last) = (stretches.first()?, stretches.last()?);
        Some(Self {
            stretch: Stretch {
                after: first.stretch.after,
                upper: last.stretch.upper,
            },
            count: stretches.iter().map(|known| known.count).sum(),
        })
    }
}

/// A stretch of ids to be counted: `after` exclusive, `upper` inclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// Ids above this one.
    pub after: ReadingId,
    /// Ids up to this one.
    pub upper: ReadingId,
}

impl From<&RangeInclusive<ReadingId>> for Stretch {
    fn from(run: &RangeInclusive<ReadingId>) -> Self {
        Self {
            after: run.start().saturating_sub(1),
            upper: *run.end(),
        }
    }
}

impl Census {
    /// Ids that one segment spans at most, and with it the rows that one count reads at most.
    pub const SEGMENT_IDS: i64 = 50_000;

    /// Readings counted so far.
    pub fn total(&self) -> u64 {
        self.segments.iter().map(|segment| segment.count).sum()
    }

    /// The highest id that was taken into account.
    pub fn counted_through(&self) -> ReadingId {
        self.segments
            .last()
            .map_or(ReadingId::MIN, |segment| segment.upper)
    }

    /// The next stretch to be counted on the way to `highest`, where `next` is the lowest pending id above
    /// [`Census::counted_through`]: a gap in the ids costs nothing.
    pub fn uncounted(&self, next: ReadingId, highest: ReadingId) -> Option<Stretch> {
        let after = next.saturating_sub(1).max(self.counted_through());
        (highest > after).then(|| Stretch {
            after,
            upper: highest.min(after.saturating_add(Self::SEGMENT_IDS)),
        })
    }

    /// Notes the count of a stretch that [`Census::uncounted`], [`Census::next_to_verify`] or [`Census::next_doubted`] gave.
    pub fn note(&mut self, stretch: Stretch, count: u64) {
        if let Some(segment) = self
            .segments
            .iter_mut()
            .find(|segment| segment.upper == stretch.upper)
        {
            *segment = Segment::new(stretch, count);
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
                last.upper = stretch.upper;
                last.count += count;
            }
            _ => self.segments.push(Segment::new(stretch, count)),
        }
    }

    /// Takes readings out that left the queue by our own hand. Another program may have taken out the same ones before, and
    /// they must not be missing twice: their stretches are in doubt from here on.
    pub fn remove(&mut self, ids: &ReadingIds) {
        for id in ids.iter() {
            let at = self.segments.partition_point(|segment| segment.upper < id);
            if let Some(segment) = self.segments.get_mut(at) {
                segment.count = segment.count.saturating_sub(1);
                segment.is_doubted = true;
            }
        }
        self.forget_empty_segments();
    }

    /// The next known stretches to look at again, in turn and `most` at a time, because another program may have changed them.
    /// None once all were offered since the last call of [`Census::verify_from_start`].
    pub fn next_to_verify(&mut self, most: usize) -> Vec<KnownStretch> {
        let begin = self.next_to_verify.min(self.segments.len());
        self.next_to_verify = begin.saturating_add(most).min(self.segments.len());
        (begin..self.next_to_verify)
            .filter_map(|at| self.known(at))
            .collect()
    }

    /// The lowest stretch that is in doubt; it is not any more.
    pub fn next_doubted(&mut self) -> Option<KnownStretch> {
        let at = self
            .segments
            .iter()
            .position(|segment| segment.is_doubted)?;
        self.segments[at].is_doubted = false;
        self.known(at)
    }

    /// Whether any stretch is in doubt.
    pub fn is_doubted(&self) -> bool {
        self.segments.iter().any(|segment| segment.is_doubted)
    }

    /// How many stretches are known.
    pub fn stretches(&self) -> usize {
        self.segments.len()
    }

    fn known(&self, at: usize) -> Option<KnownStretch> {
        let Segment { upper, count, .. } = *self.segments.get(at)?;
        let after = match at.checked_sub(1) {
            Some(previous) => self.segments[previous].upper,
            None => ReadingId::MIN,
        };
        Some(KnownStretch {
            stretch: Stretch { after, upper },
            count,
        })
    }

    /// Whether the present round of verification is complete.
    pub fn is_verified(&self) -> bool {
        self.next_to_verify >= self.segments.len()
    }

    /// Begins a new round of verification.
    pub fn verify_from_start(&mut self) {
        self.next_to_verify = 0;
    }

    fn forget_empty_segments(&mut self) {
        // An empty segment before a full one can join it, doubts included; the last one keeps how far was counted.
        let Some(last) = self.segments.len().checked_sub(1) else {
            return;
        };
        let (mut at, mut gone_before, mut inherits_doubt) = (0, 0, false);
        self.segments.retain_mut(|segment| {
            let keep = segment.count > 0 || at == last;
            if keep {
                segment.is_doubted |= std::mem::take(&mut inherits_doubt);
            } else {
                inherits_doubt |= segment.is_doubted;
                gone_before += usize::from(at < self.next_to_verify);
            }
            at += 1;
            keep
        });
        self.next_to_verify -= gone_before;
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
        let Some(highest) = queue.last() else { return };
        let next = |census: &Census| {
            queue
                .range(census.counted_through().saturating_add(1)..)
                .next()
                .copied()
        };
        while let Some(stretch) = next(census).and_then(|next| census.uncounted(next, *highest)) {
            census.note(stretch, count(queue, stretch));
        }
    }

    #[test]
    fn a_gap_in_the_ids_costs_nothing() {
        let queue = BTreeSet::from([1, 2, 1_767_225_600_000]);
        let mut census = Census::default();
        catch_up(&mut census, &queue);
        assert_eq!((census.total(), census.segments.len()), (3, 2));
    }

    #[test]
    fn stretches_have_their_turn_together_and_doubts_alone() {
        let queue: BTreeSet<i64> = (0..12).map(|number| number * 50_000).collect();
        let mut census = Census::default();
        catch_up(&mut census, &queue);
        census.verify_from_start();
        let turns: Vec<_> = std::iter::from_fn(|| {
            let joined = KnownStretch::joined(&census.next_to_verify(5))?;
            assert_eq!(joined.count, count(&queue, joined.stretch));
            Some(joined.count)
        })
        .collect();
        assert_eq!((turns, census.is_verified()), (vec![5, 5, 2], true));

        census.remove(&ReadingIds::from_iter([100_000]));
        let doubted = census.next_doubted().expect("what was taken out");
        let expected = Stretch {
            after: 99_999,
            upper: 199_999,
        };
        assert_eq!((doubted.stretch, doubted.count), (expected, 1));
        assert!(!census.is_doubted());
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
                        for known in census.next_to_verify(usize::MAX) {
                            let found = count(&queue, known.stretch);
                            census.note(known.stretch, found);
                        }
                    }
                }
                catch_up(&mut census, &queue);
                prop_assert_eq!(census.total(), queue.len() as u64);
            }
        }
    }
}
