//! A set of reading ids in ascending order, held as runs: a batch of neighbours costs a few bytes. With it goes when the
//! rows came in that the ids mean, since ids may be given anew.

use std::ops::RangeInclusive;

use super::{
    arrival::{Arrival, Arrivals},
    reading::ReadingId,
};

/// Ascending, distinct ids. The n-th id belongs to the n-th reading of a batch's body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadingIds {
    runs: Vec<RangeInclusive<ReadingId>>,
    arrivals: Option<Arrivals>,
}

/// Comes between the ids and when their rows came in.
const ARRIVALS: char = '@';

impl ReadingIds {
    /// Whether a row with one of the ids, which came in then, is among those that are meant.
    pub fn mean(&self, arrival: Arrival) -> bool {
        let arrivals = self.arrivals.as_ref();
        arrivals.is_none_or(|arrivals| arrivals.cover(arrival))
    }

    /// The same ids, meaning rows only that came in then; all rows with these ids where nothing is known.
    pub fn that_came_in(self, arrivals: Option<Arrivals>) -> Self {
        Self { arrivals, ..self }
    }

    /// When the rows came in; none where the ids mean whatever row has them.
    pub fn arrivals(&self) -> Option<&Arrivals> {
        self.arrivals.as_ref()
    }

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

    /// The runs of neighbouring ids, ascending.
    pub fn runs(&self) -> &[RangeInclusive<ReadingId>] {
        &self.runs
    }

    /// The run that holds `id`, if any.
    pub fn run_containing(&self, id: ReadingId) -> Option<&RangeInclusive<ReadingId>> {
        let next = self.runs.partition_point(|run| *run.end() < id);
        self.runs.get(next).filter(|run| run.contains(&id))
    }

    /// The ids at the given positions of the batch's body; positions outside are passed over.
    pub fn at(&self, positions: &[usize]) -> Self {
        let ids: Vec<_> = self.iter().collect();
        let chosen: Self = positions
            .iter()
            .filter_map(|position| ids.get(*position).copied())
            .collect();
        chosen.that_came_in(self.arrivals.clone())
    }

    /// All but those in another set.
    pub fn without(&self, others: &Self) -> Self {
        let rest: Self = self
            .iter()
            .filter(|id| others.run_containing(*id).is_none())
            .collect();
        rest.that_came_in(self.arrivals.clone())
    }

    /// Written as `1-1000,1005`, and behind it when the rows came in, where that is known.
    pub fn encode(&self) -> String {
        let runs = self.runs.iter().map(|run| {
            if run.start() == run.end() {
                run.start().to_string()
            } else {
                format!("{}-{}", run.start(), run.end())
            }
        });
        let mut text = runs.collect::<Vec<_>>().join(",");
        let arrivals = self.arrivals.as_ref();
        if let Some(Ok(arrivals)) = arrivals.map(serde_json::to_string) {
            text.push(ARRIVALS);
            text.push_str(&arrivals);
        }
        text
    }

    /// Reads what [`ReadingIds::encode`] wrote; none where the text is something else.
    pub fn decode(text: &str) -> Option<Self> {
        let (text, arrivals) = match text.split_once(ARRIVALS) {
            Some((text, arrivals)) => (text, Some(serde_json::from_str(arrivals).ok()?)),
            None => (text, None),
        };
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
        Some(Self { runs, arrivals })
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
        Self {
            runs,
            arrivals: None,
        }
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
    fn when_the_rows_came_in_survives_being_written_down() {
        for (between, some_unsaid) in [
            (Some(("2026-01-01 00:00:00", "2026-01-01 @ \"1\"")), false),
            (Some(("", "")), true),
            (None, true),
        ] {
            let between = between.map(|(first, last)| (first.to_owned(), last.to_owned()));
            let arrivals = Some(Arrivals {
                between,
                some_unsaid,
            });
            let ids = ReadingIds::decode("1-10,12").expect("ids");
            let set = ids.that_came_in(arrivals.clone());
            assert_eq!(ReadingIds::decode(&set.encode()), Some(set.clone()));
            assert_eq!(set.at(&[2]).arrivals(), arrivals.as_ref());
            assert_eq!(set.without(&set.at(&[2])).arrivals(), arrivals.as_ref());
        }
    }

    #[test]
    fn nonsense_is_no_set() {
        for text in ["x", "1-", "5-1", "3,1", "1-5,5", "1-5@", "1@[1]"] {
            assert_eq!(ReadingIds::decode(text), None, "{text}");
        }
    }

    #[test]
    fn positions_find_their_ids() {
        let ids: ReadingIds = [1, 2, 5, 9].into_iter().collect();
        assert_eq!(ids.encode(), "1-2,5,9");
        assert_eq!(ids.at(&[0, 2, 7]).iter().collect::<Vec<_>>(), [1, 5]);
    }
}
