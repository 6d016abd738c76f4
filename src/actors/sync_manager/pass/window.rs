//! How many uploads to have under way at once: one at first, more for as long as they make the Client System no slower,
//! fewer as soon as they do. Pure.

use std::time::Duration;

/// An answer that takes this much longer than twice the quickest one has waited for others.
const LEEWAY: Duration = Duration::from_millis(20);
/// What is left of the window when answers get slow.
const SLOWED_DOWN: f64 = 0.7;
/// What is left of it when an upload fails.
const FAILED: f64 = 0.5;

/// How many uploads may be under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    most: f64,
    /// Answers that take longer are slow, whatever the quickest took.
    slow: Duration,
    limit: f64,
    quickest: Option<Duration>,
    /// Nothing has been slow yet: every answer makes room for another upload.
    is_opening: bool,
    /// Answers to what was sent before the window shrank, which say nothing about how it is now.
    late_answers: usize,
}

impl Window {
    /// Never more than `most` uploads; answers that take longer than `slow` are slow.
    pub(super) fn new(most: usize, slow: Duration) -> Self {
        Self {
            most: most.max(1) as f64,
            slow,
            limit: 1.0,
            quickest: None,
            is_opening: true,
            late_answers: 0,
        }
    }

    /// Uploads that may be under way at once, at least one.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a small count"
    )]
    pub(super) fn limit(&self) -> usize {
        self.limit as usize
    }

    /// Whether anything was accepted yet.
    pub(super) fn is_tried(&self) -> bool {
        self.quickest.is_some()
    }

    /// An upload was accepted after this time. `is_wanted` says whether others waited for room: a window that is not
    /// filled does not grow.
    pub(super) fn accepted(&mut self, took: Duration, is_wanted: bool) {
        let quickest = self.quickest.map_or(took, |quickest| quickest.min(took));
        self.quickest = Some(quickest);
        if self.late_answers > 0 {
            self.late_answers -= 1;
        } else if took > quickest * 2 + LEEWAY || took > self.slow {
            self.shrink(SLOWED_DOWN);
        } else if is_wanted {
            let more = if self.is_opening {
                1.0
            } else {
                1.0 / self.limit
            };
            self.limit = (self.limit + more).min(self.most);
        }
    }

    /// An upload failed or was refused.
    pub(super) fn failed(&mut self) {
        self.shrink(FAILED);
    }

    fn shrink(&mut self, to: f64) {
        self.late_answers = self.limit() - 1;
        self.limit = (self.limit * to).max(1.0);
        self.is_opening = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLOW: Duration = Duration::from_secs(10);

    /// The window after so many answers of a server that has `latency` and takes `work` for each upload, one after another.
    fn after(answers: usize, latency: Duration, work: Duration) -> usize {
        let mut window = Window::new(16, SLOW);
        for _ in 0..answers {
            let under_way = u32::try_from(window.limit()).expect("a small number");
            window.accepted(latency + work * under_way, true);
        }
        window.limit()
    }

    #[test]
    fn a_long_link_is_filled_within_a_few_round_trips() {
        let satellite = Duration::from_millis(600);
        assert_eq!(after(0, satellite, Duration::from_millis(2)), 1);
        assert_eq!(after(15, satellite, Duration::from_millis(2)), 16);
        assert_eq!(after(1_000, satellite, Duration::from_millis(2)), 16);
    }

    #[test]
    fn a_link_that_is_full_gets_no_more_than_it_takes() {
        let modem = after(1_000, Duration::from_millis(50), Duration::from_secs(1));
        assert!((1..=3).contains(&modem), "{modem}");
    }

    #[test]
    fn failures_halve_it_and_only_demand_widens_it() {
        let quick = Duration::from_millis(5);
        let mut window = Window::new(16, SLOW);
        for _ in 0..40 {
            window.accepted(quick, false);
        }
        assert_eq!(window.limit(), 1);
        for _ in 0..40 {
            window.accepted(quick, true);
        }
        assert_eq!(window.limit(), 16);
        window.failed();
        assert_eq!(window.limit(), 8);
        for _ in 0..10 {
            window.failed();
        }
        assert_eq!(window.limit(), 1);
        assert_eq!(Window::new(0, SLOW).limit(), 1);
    }

    #[test]
    fn slow_answers_shrink_it_once_for_all_that_were_under_way() {
        let mut window = Window::new(16, SLOW);
        for _ in 0..15 {
            window.accepted(Duration::from_millis(100), true);
        }
        for _ in 0..16 {
            window.accepted(Duration::from_secs(1), true);
        }
        assert_eq!(window.limit(), 11);
    }
}
