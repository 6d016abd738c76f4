//! How many readings to put into a batch: as many as the Client System takes and answers in good time. Found by halving
//! and, with care, by growing again. Pure.

use std::time::Duration;

/// Batches of the full size that have to be accepted in a row before a larger one is tried.
const ACCEPTED_BEFORE_GROWTH: u32 = 20;
/// A failed growth makes the next try rarer, up to this many times.
const RAREST_GROWTH: u32 = 64;

/// What bounds a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bounds {
    /// Readings in a batch as a rule.
    pub(super) usual: usize,
    /// Readings in a batch while requests are scarce.
    pub(super) most: usize,
    /// An answer that takes longer is slow.
    pub(super) slow: Duration,
}

/// How many readings to put into a batch.
#[derive(Clone, Copy, Debug)]
pub(super) struct FittingSize {
    bounds: Bounds,
    /// The present limit; up to the usual size, unless requests are scarce.
    limit: usize,
    /// No growth beyond the usual size goes further than this.
    ceiling: usize,
    remembered: Option<usize>,
    largest_accepted: usize,
    /// The largest batch that was answered with time to spare since the last one that was not answered at all.
    largest_in_time: usize,
    accepted_in_a_row: u32,
    patience: u32,
}

impl FittingSize {
    /// `remembered` is what earlier passes found.
    pub(super) fn new(bounds: Bounds, remembered: Option<usize>) -> Self {
        let usual = bounds.usual.max(1);
        Self {
            limit: remembered.unwrap_or(usual).clamp(1, usual),
            ceiling: bounds.most.max(usual),
            bounds,
            remembered,
            largest_accepted: 0,
            largest_in_time: 0,
            accepted_in_a_row: 0,
            patience: 1,
        }
    }

    /// Other bounds may hold from now on. What was found out about the Client System still holds.
    pub(super) fn keep_to(&mut self, bounds: Bounds) {
        if bounds == self.bounds {
            return;
        }
        let usual = bounds.usual.max(1);
        let is_full = self.limit >= self.bounds.usual;
        self.limit = if is_full {
            usual
        } else {
            self.limit.min(usual)
        };
        self.ceiling = bounds.most.max(usual);
        self.bounds = bounds;
    }

    /// Readings in the next batch at the most.
    pub(super) fn limit(&self, requests_are_scarce: bool) -> usize {
        if requests_are_scarce {
            self.limit
        } else {
            self.limit.min(self.bounds.usual.max(1))
        }
    }

    /// A batch of this length was too large. A single reading says nothing about the size of batches, nor does
    /// a batch no longer than others that were accepted: there is an odd reading in it.
    pub(super) fn too_large(&mut self, length: usize) {
        if length > 1 && length > self.largest_accepted && length / 2 < self.limit {
            if self.largest_accepted > 0 {
                self.patience = (self.patience * 2).min(RAREST_GROWTH);
            }
            self.shrink((length / 2).max(self.largest_accepted));
        }
    }

    /// A batch of this length was not answered in time. It keeps its readings and its key; the next ones are smaller, unless
    /// others as large were answered just before: then it is no matter of size.
    pub(super) fn timed_out(&mut self, length: usize) {
        let is_of_size = length > self.largest_in_time;
        self.largest_in_time = 0;
        if is_of_size && length > 1 && length / 2 < self.limit {
            self.shrink(length / 2);
        }
    }

    fn shrink(&mut self, limit: usize) {
        self.limit = limit.max(1);
        self.ceiling = self.limit.max(self.bounds.usual);
        self.accepted_in_a_row = 0;
    }

    /// A batch of this length was accepted, after this time. Returns what is to be remembered, where that changed: the
    /// limit, or nothing any more.
    pub(super) fn accepted(
        &mut self,
        length: usize,
        took: Duration,
        requests_are_scarce: bool,
    ) -> Option<Option<usize>> {
        if took * 2 <= self.bounds.slow {
            self.largest_in_time = self.largest_in_time.max(length);
        }
        if took > self.bounds.slow {
            self.slow_answer(length, took);
        } else {
            self.largest_accepted = self.largest_accepted.max(length);
            self.limit = self.limit.max(length.min(self.ceiling));
            if self.grow(length, took, requests_are_scarce) {
                return None;
            }
        }
        let usual = self.bounds.usual;
        let worth = (self.limit < usual).then_some(self.limit.min(self.largest_accepted));
        if worth == self.remembered || (worth.is_some() && length < self.limit) {
            return None;
        }
        self.remembered = worth;
        Some(worth)
    }

    /// Batches that take too long shrink to what would have been answered in time.
    fn slow_answer(&mut self, length: usize, took: Duration) {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share of a length"
        )]
        let in_time =
            (length as f64 * self.bounds.slow.as_secs_f64() / took.as_secs_f64()) as usize;
        if length > 1 && in_time < self.limit {
            self.shrink(in_time);
            // It was accepted, so that whatever is smaller will be.
            self.largest_accepted = self.limit;
        }
    }

    /// Whether the next batch is to be larger than any before. A batch of twice the length takes twice the time.
    fn grow(&mut self, length: usize, took: Duration, requests_are_scarce: bool) -> bool {
        if length < self.limit || took * 2 > self.bounds.slow {
            return false;
        }
        if self.limit >= self.bounds.usual {
            let larger = self.limit.saturating_mul(2).min(self.ceiling);
            let grows = requests_are_scarce && larger > self.limit;
            self.limit = if grows { larger } else { self.limit };
            return false;
        }
        self.accepted_in_a_row += 1;
        if self.accepted_in_a_row < ACCEPTED_BEFORE_GROWTH * self.patience {
            return false;
        }
        self.accepted_in_a_row = 0;
        self.limit = (self.limit * 2).min(self.bounds.usual);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUICK: Duration = Duration::from_millis(100);

    fn up_to(usual: usize, most: usize, remembered: Option<usize>) -> FittingSize {
        let bounds = Bounds {
            usual,
            most,
            slow: Duration::from_secs(10),
        };
        FittingSize::new(bounds, remembered)
    }

    fn sized(remembered: Option<usize>) -> FittingSize {
        up_to(1_000, 1_000, remembered)
    }

    impl FittingSize {
        fn quickly(&mut self, length: usize) -> Option<Option<usize>> {
            self.accepted(length, QUICK, false)
        }

        fn usual_limit(&self) -> usize {
            self.limit(false)
        }
    }

    #[test]
    fn halves_until_something_is_accepted_and_remembers_that() {
        let mut size = sized(None);
        size.too_large(1_000);
        assert_eq!(size.usual_limit(), 500);
        size.too_large(500);
        assert_eq!(size.usual_limit(), 250);
        assert_eq!(size.quickly(250), Some(Some(250)));
        assert_eq!(size.quickly(250), None, "told once");
        assert_eq!(sized(Some(250)).usual_limit(), 250);
    }

    #[test]
    fn one_giant_reading_does_not_shrink_every_batch() {
        let mut size = sized(None);
        size.too_large(1_000);
        size.quickly(500);
        for length in [500, 250, 125, 2, 1] {
            size.too_large(length);
        }
        assert_eq!(size.usual_limit(), 500);
        let mut giant_first = sized(None);
        giant_first.too_large(1_000);
        giant_first.too_large(500);
        giant_first.quickly(500);
        assert_eq!(giant_first.usual_limit(), 500);
    }

    #[test]
    fn grows_again_ever_more_carefully() {
        let mut size = sized(Some(250));
        let until_growth = |size: &mut FittingSize| {
            (1..10_000).find(|_| {
                size.quickly(250);
                size.usual_limit() > 250
            })
        };
        assert_eq!(until_growth(&mut size), Some(20));
        assert_eq!(size.usual_limit(), 500);
        size.too_large(500);
        assert_eq!(size.usual_limit(), 250);
        assert_eq!(until_growth(&mut size), Some(40));
        assert_eq!(size.quickly(500), Some(Some(500)));
    }

    #[test]
    fn full_size_is_nothing_to_remember() {
        let mut size = sized(Some(1_000));
        assert_eq!(size.quickly(1_000), Some(None), "forget");
        assert_eq!(size.quickly(1_000), None);
        assert_eq!(sized(None).quickly(10), None);
    }

    #[test]
    fn grows_beyond_the_usual_size_only_while_requests_are_scarce() {
        let mut size = up_to(1_000, 5_000, None);
        size.accepted(1_000, QUICK, false);
        assert_eq!(size.limit(true), 1_000);
        for (length, next) in [
            (1_000, 2_000),
            (2_000, 4_000),
            (4_000, 5_000),
            (5_000, 5_000),
        ] {
            assert_eq!(
                size.accepted(length, QUICK, true),
                None,
                "not worth remembering"
            );
            assert_eq!(size.limit(true), next);
        }
        assert_eq!(size.limit(false), 1_000);
    }

    #[test]
    fn other_bounds_hold_at_once_and_what_the_server_takes_still_does() {
        let bounds = |usual, most| up_to(usual, most, None).bounds;
        let mut size = up_to(1_000, 5_000, None);
        size.keep_to(bounds(10, 10));
        assert_eq!((size.limit(false), size.limit(true)), (10, 10));
        size.accepted(10, QUICK, true);
        assert_eq!(size.limit(true), 10);
        size.keep_to(bounds(2_000, 4_000));
        assert_eq!(size.limit(true), 2_000);
        size.accepted(2_000, QUICK, true);
        assert_eq!((size.limit(false), size.limit(true)), (2_000, 4_000));
        let mut shrunk = sized(None);
        shrunk.too_large(1_000);
        shrunk.keep_to(bounds(2_000, 2_000));
        assert_eq!(shrunk.limit(true), 500, "more was too large");
    }

    #[test]
    fn what_was_too_large_once_bounds_the_growth() {
        let mut size = up_to(1_000, 8_000, None);
        size.accepted(1_000, QUICK, true);
        size.accepted(2_000, QUICK, true);
        size.too_large(4_000);
        assert_eq!(size.limit(true), 2_000);
        size.accepted(2_000, QUICK, true);
        assert_eq!(size.limit(true), 2_000);
    }

    #[test]
    fn never_grows_beyond_what_is_answered_in_a_third_of_the_time() {
        let mut size = up_to(1_000, 8_000, None);
        size.accepted(1_000, Duration::from_secs(3), true);
        assert_eq!(size.limit(true), 2_000);
        size.accepted(2_000, Duration::from_secs(6), true);
        assert_eq!(size.limit(true), 2_000, "twice as much would take 12 s");
    }

    #[test]
    fn slow_answers_and_timeouts_shrink_the_next_batch() {
        let mut size = sized(None);
        assert_eq!(
            size.accepted(1_000, Duration::from_secs(20), false),
            Some(Some(500))
        );
        assert_eq!(size.usual_limit(), 500);
        assert_eq!(size.accepted(500, Duration::from_secs(9), false), None);
        size.timed_out(500);
        assert_eq!(size.usual_limit(), 250);
        size.timed_out(1);
        assert_eq!(size.usual_limit(), 250, "a single reading cannot be halved");
    }

    #[test]
    fn a_batch_that_is_never_answered_does_not_shrink_the_others() {
        let mut size = sized(None);
        for _ in 0..10 {
            size.quickly(1_000);
            size.timed_out(1_000);
        }
        assert_eq!(size.usual_limit(), 1_000);
        size.timed_out(1_000);
        assert_eq!(size.usual_limit(), 500, "nothing was answered any more");
    }
}
