//! The server's rate limit: so many requests in a fixed window, counted over everything under `/api`.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::clock::Clock;

/// How many requests are let through, and in what time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RateLimit {
    /// Requests in one window.
    pub requests: u64,
    /// Length of the window; it starts with the first request.
    pub window: Duration,
}

impl RateLimit {
    /// As deployed: 100 requests in 15 minutes.
    pub const DEPLOYED: Self = Self {
        requests: 100,
        window: Duration::from_secs(15 * 60),
    };
}

/// The count of the current window.
#[derive(Debug, Default)]
pub(super) struct RateLimiter {
    limit: Option<RateLimit>,
    window: Option<Window>,
}

#[derive(Clone, Copy, Debug)]
struct Window {
    ends: Duration,
    used: u64,
}

/// What one request is told about the limit.
#[derive(Debug, PartialEq)]
pub(super) struct Allowance {
    pub limit: u64,
    pub remaining: u64,
    pub reset: DateTime<Utc>,
    /// The server's time, without which `reset` says nothing to a client whose clock is wrong.
    pub now: DateTime<Utc>,
    /// Seconds to wait, for a request past the limit.
    pub retry_after: Option<u64>,
}

impl RateLimiter {
    pub fn new(limit: Option<RateLimit>) -> Self {
        Self {
            limit,
            window: None,
        }
    }

    /// Starts a new window with the next request.
    pub fn restart(&mut self) {
        self.window = None;
    }

    /// Counts one request; `None` when there is no limit.
    pub fn count(&mut self, clock: &Clock) -> Option<Allowance> {
        let limit = self.limit?;
        let now = clock.elapsed();
        let fresh = Window {
            ends: now.saturating_add(limit.window),
            used: 0,
        };
        let window = self
            .window
            .filter(|window| now < window.ends)
            .unwrap_or(fresh);
        let window = Window {
            used: window.used + 1,
            ..window
        };
        self.window = Some(window);
        let left = window.ends - now;
        let seconds_left = left.as_secs() + u64::from(left.subsec_nanos() > 0);
        Some(Allowance {
            limit: limit.requests,
            remaining: limit.requests.saturating_sub(window.used),
            now: clock.now(),
            reset: clock.now() + TimeDelta::from_std(left).unwrap_or_default(),
            retry_after: (window.used > limit.requests).then_some(seconds_left),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_is_fixed_and_opens_again() {
        let clock = Clock::manual(DateTime::UNIX_EPOCH);
        let mut limiter = RateLimiter::new(Some(RateLimit {
            requests: 2,
            window: Duration::from_secs(60),
        }));
        let mut retry_after = || {
            limiter
                .count(&clock)
                .and_then(|allowance| allowance.retry_after)
        };
        assert_eq!(
            (retry_after(), retry_after(), retry_after()),
            (None, None, Some(60))
        );
        clock.advance(Duration::from_millis(58_500));
        assert_eq!(retry_after(), Some(2));
        clock.advance(Duration::from_millis(1_500));
        assert_eq!(retry_after(), None);
    }
}
