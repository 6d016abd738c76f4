//! How many restarts in how short a time are too many.

use std::{collections::VecDeque, time::Duration};

/// A limit on restarts within a sliding window.
#[derive(Clone, Copy, Debug)]
pub struct IntensityLimit {
    /// Restarts that are allowed within the window.
    pub restarts: usize,
    /// The window.
    pub within: Duration,
}

impl Default for IntensityLimit {
    fn default() -> Self {
        Self {
            restarts: 10,
            within: Duration::from_secs(60),
        }
    }
}

/// The failures of one actor within the window.
#[derive(Debug)]
pub struct Intensity {
    limit: IntensityLimit,
    failures: VecDeque<Duration>,
}

impl Intensity {
    /// Without failures so far.
    pub fn new(limit: IntensityLimit) -> Self {
        Self {
            limit,
            failures: VecDeque::new(),
        }
    }

    /// Notes a failure at `now` (time on a clock that never goes back). Returns how many failures fell into
    /// the window, or none when that is past the limit.
    pub fn record(&mut self, now: Duration) -> Option<u32> {
        while self
            .failures
            .front()
            .is_some_and(|oldest| now.saturating_sub(*oldest) > self.limit.within)
        {
            self.failures.pop_front();
        }
        self.failures.push_back(now);
        (self.failures.len() <= self.limit.restarts)
            .then(|| u32::try_from(self.failures.len()).unwrap_or(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_failures_within_the_window_count() {
        let mut intensity = Intensity::new(IntensityLimit {
            restarts: 2,
            within: Duration::from_secs(10),
        });
        let mut at = |seconds| intensity.record(Duration::from_secs(seconds));
        assert_eq!(at(0), Some(1));
        assert_eq!(at(5), Some(2));
        assert_eq!(at(12), Some(2));
        assert_eq!(at(13), None);
    }
}
