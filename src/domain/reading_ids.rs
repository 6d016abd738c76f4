//! A set of reading ids in ascending order, held as runs: a batch of neighbours costs a few bytes.

use std::ops::RangeInclusive;

use super::reading::ReadingId;

/// Ascending, distinct ids. The n-th id belongs to the n-th reading of a batch's body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadingIds {
    runs: Vec<RangeInclusive<ReadingId>>,
}

impl ReadingIds {
    /// How many ids.
    pub fn len(&self) -> usize {
        self.runs
            .iter()
            .map(|run| usize::try_from(run.end() - run.start() + 1).unwrap_or(usize::MAX))
            .sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// All ids, ascending.
    pub fn iter(&self) -> impl Iterator<Item = ReadingId> + '_ {
        self.runs.iter().flat_map(Clone::clone)
    }

    /// The lowest id.
    pub fn first(&self) -> Option<ReadingId> {
        self.runs.first().map(|run| *run.start())
    }

    /// The highest id.
    pub fn last(&self) -> Option<ReadingId> {
        self.runs.last().map(|run| *run.end())
    }

    /// The runs of neighbouring ids, ascending.
    pub fn runs(&self) -> &[RangeInclusive<ReadingId>] {
        &self.runs
    }

    /// Few stretches of ids that cover all of these, and none that is further than `gap` from one; ascending.
    pub fn stretches(&self, gap: i64) -> Vec<RangeInclusive<ReadingId>> {
        let mut stretches: Vec<RangeInclusive<ReadingId>> = Vec::new();
        for run in &self.runs {
            match stretches.last_mut() {
                Some(last) if run.start().saturating_sub(*last.end()) <= gap => {
                    *last = *last.start()..=*run.end();
                }
                _ => stretches.push(run.clone()),
            }
        }
        stretches
    }

    /// The run that holds `id`, if any.
    pub fn run_containing(&self, id: ReadingId) -> Option<&RangeInclusive<ReadingId>> {
        let next = self.runs.partition_point(|run| *run.end() < id);
        self.runs.get(next).filter(|run| run.contains(&id))
    }

    /// The ids at the given positions of the batch's body; positions outside are passed over.
    pub fn at(&self, positions: &[usize]) -> Self {
        let ids: Vec<_> = self.iter().collect();
        positions
            .iter()
            .filter_map(|position| ids.get(*position).copied())
            .collect()
    }

    /// All but those in another set.
    pub fn without(&self, others: &Self) -> Self {
        self.iter()
            .filter(|id| others.run_containing(*id).is_none())
            .collect()
    }

    /// Written as `1-1000,1005`.
    pub fn encode(&self) -> String {
        let runs = self.runs.iter().map(|run| {
            if run.start() == run.end() {
                run.start().to_string()
            } else {
                format!("{}-{}", run.start(), run.end())
            }
        });
        runs.collect::<Vec<_>>().join(",")
    }

    /// Reads what [`ReadingIds::encode`] wrote; none where the text is something else.
    pub fn decode(text: &str) -> Option<Self> {
        // Versions before 2026-11-26 wrote behind it when the rows came in.
        let text = text.split_once('@').map_or(text, |(ids, _)| ids);
        let mut runs: Vec<RangeInclusive<ReadingId>> = Vec::new();
        for part in text.split(',').filter(|part| !part.is_empty()) {
            // Ids may be negative, so the dash that separates is never the first character.
            let dash = part
                .char_indices()
                .skip(1)
                .find(|(_, character)| *character == '-')
                .map(|(at, _)| at);
            let (start, end) = match dash {
                Some(at) => (
                    part.get(..at)?.parse().ok()?,
                    part.get(at + 1..)?.parse().ok()?,
                ),
                None => (part.parse().ok()?, part.parse().ok()?),
            };
            let follows = runs.last().is_none_or(|previous| *previous.end() < start);
            if start > end || !follows {
                return None;
            }
            runs.push(start..=end);
        }
        Some(Self { runs })
    }
}

impl FromIterator<ReadingId> for ReadingIds {
    fn from_iter<I: IntoIterator<Item = ReadingId>>(ids: I) -> Self {
        let mut ids: Vec<ReadingId> = ids.into_iter().collect();
        ids.sort_unstable();
        ids.dedup();
        let mut runs: Vec<RangeInclusive<ReadingId>> = Vec::new();
        for id in ids {
            match runs.last_mut() {
                Some(run) if run.end().checked_add(1) == Some(id) => *run = *run.start()..=id,
                _ => runs.push(id..=id),
            }
        }
        Self { runs }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_set_survives_being_written_down(ids in prop::collection::btree_set(-50_i64..200, 0..100)) {
            let set: ReadingIds = ids.iter().copied().collect();
            prop_assert_eq!(set.len(), ids.len());
            prop_assert_eq!(set.iter().collect::<Vec<_>>(), ids.iter().copied().collect::<Vec<_>>());
            prop_assert_eq!(ReadingIds::decode(&set.encode()), Some(set.clone()));
            for id in -60..210 {
                prop_assert_eq!(set.run_containing(id).is_some(), ids.contains(&id));
            }
        }
    }

    #[test]
    fn nonsense_is_no_set() {
        for text in ["x", "1-", "5-1", "3,1", "1-5,5", "x@"] {
            assert_eq!(ReadingIds::decode(text), None, "{text}");
        }
    }

    #[test]
    fn neighbours_lie_in_one_stretch() {
        let ids = ReadingIds::decode("1-10,13,100-110").expect("ids");
        assert_eq!(ids.stretches(3), [1..=13, 100..=110]);
        assert_eq!(ids.stretches(2), ids.runs());
        assert_eq!(ids.stretches(i64::MAX), [1..=110]);
    }

    #[test]
    fn positions_find_their_ids() {
        let ids: ReadingIds = [1, 2, 5, 9].into_iter().collect();
        assert_eq!(ids.encode(), "1-2,5,9");
        assert_eq!(ids.at(&[0, 2, 7]).iter().collect::<Vec<_>>(), [1, 5]);
    }
}
