//! The largest batch that the Client System takes, found by halving and, with care, by growing again. Pure.

/// Batches of the full size that have to be accepted in a row before a larger one is tried.
const ACCEPTED_BEFORE_GROWTH: u32 = 20;
/// A failed growth makes the next try rarer, up to this many times.
const RAREST_GROWTH: u32 = 64;

/// How many readings to put into a batch.
#[derive(Clone, Copy, Debug)]
pub(super) struct FittingSize {
    most: usize,
    limit: usize,
    remembered: Option<usize>,
    largest_accepted: usize,
    accepted_in_a_row: u32,
    patience: u32,
}

impl FittingSize {
    /// `most` is what the settings allow, `remembered` what earlier passes found.
    pub(super) fn new(most: usize, remembered: Option<usize>) -> Self {
        Self {
            most,
            limit: remembered.unwrap_or(most).clamp(1, most.max(1)),
            remembered,
            largest_accepted: 0,
            accepted_in_a_row: 0,
            patience: 1,
        }
    }

    /// Readings in the next batch at the most.
    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    /// A batch of this length was too large. A single reading says nothing about the size of batches, nor does
    /// a batch no longer than others that were accepted: there is an odd reading in it.
    pub(super) fn too_large(&mut self, length: usize) {
        if length > 1 && length > self.largest_accepted && length / 2 < self.limit {
            if self.largest_accepted > 0 {
                self.patience = (self.patience * 2).min(RAREST_GROWTH);
            }
            self.limit = (length / 2).max(self.largest_accepted);
            self.accepted_in_a_row = 0;
        }
    }

    /// A batch of this length was accepted. Returns what is to be remembered, where that changed: the limit, or
    /// nothing any more.
    pub(super) fn accepted(&mut self, length: usize) -> Option<Option<usize>> {
        self.largest_accepted = self.largest_accepted.max(length);
        self.limit = self.limit.max(length).min(self.most);
        if self.limit < self.most && length == self.limit {
            self.accepted_in_a_row += 1;
            if self.accepted_in_a_row >= ACCEPTED_BEFORE_GROWTH * self.patience {
                self.accepted_in_a_row = 0;
                self.limit = (self.limit * 2).min(self.most);
                return None;
            }
        }
        let worth = (self.limit < self.most).then_some(self.limit.min(self.largest_accepted));
        if worth == self.remembered || (worth.is_some() && length < self.limit) {
            return None;
        }
        self.remembered = worth;
        Some(worth)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_until_something_is_accepted_and_remembers_that() {
        let mut size = FittingSize::new(1_000, None);
        size.too_large(1_000);
        assert_eq!(size.limit(), 500);
        size.too_large(500);
        assert_eq!(size.limit(), 250);
        assert_eq!(size.accepted(250), Some(Some(250)));
        assert_eq!(size.accepted(250), None, "told once");
        assert_eq!(FittingSize::new(1_000, Some(250)).limit(), 250);
    }

    #[test]
    fn one_giant_reading_does_not_shrink_every_batch() {
        let mut size = FittingSize::new(1_000, None);
        size.too_large(1_000);
        size.accepted(500);
        for length in [500, 250, 125, 2, 1] {
            size.too_large(length);
        }
        assert_eq!(size.limit(), 500);
        let mut giant_first = FittingSize::new(1_000, None);
        giant_first.too_large(1_000);
        giant_first.too_large(500);
        giant_first.accepted(500);
        assert_eq!(giant_first.limit(), 500);
    }

    #[test]
    fn grows_again_ever_more_carefully() {
        let mut size = FittingSize::new(1_000, Some(250));
        let until_growth = |size: &mut FittingSize| {
            (1..10_000).find(|_| {
                size.accepted(250);
                size.limit() > 250
            })
        };
        assert_eq!(until_growth(&mut size), Some(20));
        assert_eq!(size.limit(), 500);
        size.too_large(500);
        assert_eq!(size.limit(), 250);
        assert_eq!(until_growth(&mut size), Some(40));
        assert_eq!(size.accepted(500), Some(Some(500)));
    }

    #[test]
    fn full_size_is_nothing_to_remember() {
        let mut size = FittingSize::new(1_000, Some(1_000));
        assert_eq!(size.accepted(1_000), Some(None), "forget");
        assert_eq!(size.accepted(1_000), None);
        assert_eq!(FittingSize::new(1_000, None).accepted(10), None);
    }
}
