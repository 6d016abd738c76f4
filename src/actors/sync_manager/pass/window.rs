//! How many uploads to have under way at once: one at first, more for as long as they make the Client System no slower,
//! fewer as soon as they do. Pure.
//!
//! Answers are slow when they take on average more than twice as long as when nothing else is under way. An average, since on
//! a radio link one answer takes three times as long as the next whatever is under way. What an undisturbed answer takes is
//! measured anew whenever the window has come down to one upload, since the link may have become another.

use std::time::Duration;

/// An average that is this much longer than twice the undisturbed one comes from waiting for others.
const LEEWAY: Duration = Duration::from_millis(20);
/// What is left of the window when answers get slow.
const SLOWED_DOWN: f64 = 0.7;
/// What is left of it when an upload fails.
const FAILED: f64 = 0.5;

/// How many uploads may be under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    most: f64,
    /// Answers that take longer are slow, whatever the others took.
    slow: Duration,
    limit: f64,
    /// What answers take on average when none waits for another.
    undisturbed: Option<Duration>,
    /// That was measured, and is more than what the first answer took.
    is_measured: bool,
    /// One upload at a time until it is.
    is_measuring: bool,
    recent: Average,
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
            undisturbed: None,
            is_measured: false,
            is_measuring: false,
            recent: Average::default(),
            is_opening: true,
            late_answers: 0,
        }
    }

    /// Never more than so many uploads from now on.
    pub(super) fn keep_to(&mut self, most: usize) {
        self.most = most.max(1) as f64;
        self.limit = self.limit.min(self.most);
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
        self.undisturbed.is_some()
    }

    /// An upload was accepted after this time. `is_wanted` says whether others waited for room: a window that is not
    /// filled does not grow.
    pub(super) fn accepted(&mut self, took: Duration, is_wanted: bool) {
        let undisturbed = *self.undisturbed.get_or_insert(took);
        if self.late_answers > 0 {
            self.late_answers -= 1;
            return;
        }
        self.recent.add(took);
        let mean = self.recent.mean;
        let is_slower = mean > undisturbed * 2 + LEEWAY;
        if self.is_measuring {
            if self.recent.answers < Average::RELIABLE {
                return;
            }
            self.undisturbed = Some(mean);
            self.is_measured = true;
            self.is_measuring = false;
            // Not what this service sends has made the answers slow, so it need not be careful.
            self.is_opening = is_slower;
        } else if took > self.slow {
            self.shrink(SLOWED_DOWN);
            return;
        } else if is_slower {
            self.slowed_down();
            return;
        } else if self.recent.answers >= Average::SETTLED {
            self.undisturbed = Some(undisturbed.min(mean));
        }
        if is_wanted {
            self.grow();
        }
    }

    fn slowed_down(&mut self) {
        if self.recent.answers < Average::RELIABLE.min(self.limit()) {
            return;
        }
        self.shrink(if self.is_measured { SLOWED_DOWN } else { 0.0 });
        self.is_measuring = self.limit() == 1;
    }

    fn grow(&mut self) {
        let more = if self.is_opening {
            1.0
        } else {
            1.0 / self.limit
        };
        self.limit = (self.limit + more).min(self.most);
    }

    /// An upload failed or was refused.
    pub(super) fn failed(&mut self) {
        self.shrink(FAILED);
    }

    fn shrink(&mut self, to: f64) {
        self.late_answers = self.limit() - 1;
        self.limit = (self.limit * to).max(1.0);
        self.recent = Average::default();
        self.is_opening = false;
    }
}

/// What answers took lately.
#[derive(Clone, Copy, Debug, Default)]
struct Average {
    answers: usize,
    mean: Duration,
}

impl Average {
    /// So many answers say what is usual.
    const RELIABLE: usize = 4;
    /// Of more than so many, the older ones count less and less.
    const SETTLED: usize = 16;

    fn add(&mut self, took: Duration) {
        self.answers = self.answers.saturating_add(1).min(Self::SETTLED);
        let weight = u32::try_from(self.answers).unwrap_or(1);
        self.mean = (self.mean * (weight - 1) + took) / weight;
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
        let mut answers = |took, count| {
            for _ in 0..count {
                window.accepted(Duration::from_millis(took), true);
            }
            window.limit()
        };
        assert_eq!(answers(100, 15), 16);
        assert_eq!(answers(1_000, 8), 1, "the first answer alone proves little");
        assert_eq!(answers(100, 200), 16);
        assert_eq!(answers(1_000, 16), 11);
    }

    #[test]
    fn a_link_that_becomes_another_is_filled_again() {
        let mut window = Window::new(16, SLOW);
        for _ in 0..40 {
            window.accepted(Duration::from_millis(20), true);
        }
        assert_eq!(window.limit(), 16);
        // The cable is cut and a satellite takes over.
        let mut answers = 0;
        let mut lowest = 16;
        while window.limit() < 16 || answers < 16 {
            window.accepted(Duration::from_millis(600), true);
            lowest = lowest.min(window.limit());
            answers += 1;
            assert!(answers < 150, "{window:?}");
        }
        assert_eq!(lowest, 1, "it has to find out by itself");
    }

    #[test]
    fn a_link_whose_answers_vary_is_filled() {
        let mut window = Window::new(16, SLOW);
        let mut sum = 0;
        for answer in 0..1_000_u64 {
            // Between 300 and 900 ms, the quickest first, and then without a pattern that a window could follow.
            let mixed = (answer ^ (answer << 7)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            let varies = (mixed ^ (mixed >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 33;
            window.accepted(Duration::from_millis(300 + varies % 600), true);
            sum += window.limit();
        }
        assert!(sum >= 14 * 1_000, "on average {}", sum / 1_000);
    }
}
