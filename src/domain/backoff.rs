//! How long to wait after the n-th failure. Pure, so that a fleet of sites can be reckoned through.

use std::time::Duration;

/// A doubling schedule with a cap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The wait after the first failure.
    pub base: Duration,
    /// No wait is longer, before the random extra.
    pub cap: Duration,
}

impl Backoff {
    /// The share of a wait that is added at random at the most, so that many sites do not call in step.
    pub const LARGEST_EXTRA: f64 = 0.2;

    /// The wait after `failures` failures in a row, counted from 1: base, twice that, four times that…
    pub fn delay(&self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        self.base.saturating_mul(1 << doublings).min(self.cap)
    }

    /// [`Backoff::delay`] with a random extra of up to a fifth; `random` is uniform in 0..1.
    pub fn delay_with_extra(&self, failures: u32, random: f64) -> Duration {
        extend(self.delay(failures), random)
    }
}

/// `delay` and a random extra of up to a fifth; `random` is uniform in 0..1. Never less than `delay`.
pub fn extend(delay: Duration, random: f64) -> Duration {
    delay.saturating_add(delay.mul_f64(Backoff::LARGEST_EXTRA * random.clamp(0.0, 1.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_from_two_seconds_to_a_minute() {
        let backoff = Backoff {
            base: Duration::from_secs(2),
            cap: Duration::from_secs(60),
        };
        let seconds: Vec<u64> = (1..=8)
            .map(|failures| backoff.delay(failures).as_secs())
            .collect();
        assert_eq!(seconds, [2, 4, 8, 16, 32, 60, 60, 60]);
        assert_eq!(backoff.delay(u32::MAX), Duration::from_secs(60));
    }

    #[test]
    fn the_extra_only_ever_adds() {
        let backoff = Backoff {
            base: Duration::from_secs(10),
            cap: Duration::from_secs(60),
        };
        assert_eq!(backoff.delay_with_extra(1, 0.0), Duration::from_secs(10));
        assert_eq!(backoff.delay_with_extra(1, 1.0), Duration::from_secs(12));
        assert_eq!(backoff.delay_with_extra(1, -5.0), Duration::from_secs(10));
    }
}
