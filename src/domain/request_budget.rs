//! How many requests the Client System still allows, and how to make do with them. Pure; times are those of a clock that
//! never goes back.

use std::time::Duration;

/// What an answer says of the limit on requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RequestAllowance {
    /// Requests in a window.
    pub limit: Option<u64>,
    /// Requests that are left in the present one.
    pub remaining: Option<u64>,
    /// Time until the next window.
    pub resets_in: Option<Duration>,
}

/// The present window, as far as the server has told about it.
#[derive(Clone, Copy, Debug, Default)]
pub struct RequestBudget {
    window: Option<Window>,
}

#[derive(Clone, Copy, Debug)]
struct Window {
    limit: u64,
    remaining: u64,
    resets_at: Duration,
}

impl RequestBudget {
    /// Requests that are kept for surprises, beside those for the other schedules.
    const SPARE: u64 = 2;

    /// Takes in an answer; `in_flight` other requests may not have been counted in it.
    pub fn note(&mut self, allowance: RequestAllowance, in_flight: u64, now: Duration) {
        let RequestAllowance {
            limit: Some(limit),
            remaining: Some(remaining),
            resets_in: Some(resets_in),
        } = allowance
        else {
            return;
        };
        self.window = Some(Window {
            limit,
            remaining: remaining.saturating_sub(in_flight),
            resets_at: now.saturating_add(resets_in),
        });
    }

    /// A request is about to be sent.
    pub fn spend(&mut self) {
        if let Some(window) = &mut self.window {
            window.remaining = window.remaining.saturating_sub(1);
        }
    }

    /// The time until the next window, where nothing is left of this one.
    pub fn exhausted_for(&self, now: Duration) -> Option<Duration> {
        let window = self.window_at(now)?;
        (window.remaining == 0).then(|| window.resets_at - now)
    }

    /// Whether uploads have to be spaced to make do: half of the window's requests are gone.
    pub fn is_scarce(&self, now: Duration) -> bool {
        self.window_at(now)
            .is_some_and(|window| window.remaining <= window.limit / 2)
    }

    /// The time between two uploads. The first half of a window's requests may go as fast as they can; the second
    /// half is spread over what is left of the window, so that whatever comes in fresh meets one soon. What the other
    /// schedules need, a call every `other_calls_every`, is left to them, up to half of what remains.
    pub fn between_uploads(&self, other_calls_every: Duration, now: Duration) -> Duration {
        let Some(window) = self.window_at(now).filter(|_| self.is_scarce(now)) else {
            return Duration::ZERO;
        };
        let left = window.resets_at - now;
        let others = left.as_secs_f64() / other_calls_every.as_secs_f64().max(1.0);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a count of calls"
        )]
        let others = (others.ceil() as u64 + Self::SPARE).min(window.remaining / 2);
        let uploads = u32::try_from(window.remaining - others).unwrap_or(u32::MAX);
        left / uploads.max(1)
    }

    fn window_at(&self, now: Duration) -> Option<Window> {
        self.window.filter(|window| now < window.resets_at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);
    const WINDOW: Duration = Duration::from_secs(900);

    fn budget(remaining: u64) -> RequestBudget {
        let mut budget = RequestBudget::default();
        let allowance = RequestAllowance {
            limit: Some(100),
            remaining: Some(remaining),
            resets_in: Some(WINDOW),
        };
        budget.note(allowance, 0, Duration::ZERO);
        budget
    }

    #[test]
    fn the_first_half_goes_at_full_speed() {
        assert_eq!(
            budget(51).between_uploads(MINUTE, Duration::ZERO),
            Duration::ZERO
        );
        assert!(!budget(51).is_scarce(Duration::ZERO));
        assert!(budget(50).is_scarce(Duration::ZERO));
    }

    #[test]
    fn the_second_half_lasts_until_the_window_ends() {
        let mut budget = budget(50);
        let (mut now, mut sent, mut other_at) = (Duration::ZERO, 0, Duration::ZERO);
        while now < WINDOW {
            assert_eq!(budget.exhausted_for(now), None, "after {sent} uploads");
            budget.spend();
            sent += 1;
            now += budget.between_uploads(MINUTE, now);
            while other_at <= now {
                budget.spend();
                other_at += MINUTE;
            }
        }
        assert!((25..=40).contains(&sent), "{sent} uploads");
    }

    #[test]
    fn nothing_is_known_of_the_next_window() {
        let spent = budget(0);
        assert_eq!(spent.exhausted_for(MINUTE), Some(WINDOW - MINUTE));
        assert_eq!(spent.exhausted_for(WINDOW), None);
        assert_eq!(spent.between_uploads(MINUTE, WINDOW), Duration::ZERO);
    }

    #[test]
    fn a_server_that_tells_nothing_sets_no_limit() {
        let mut silent = RequestBudget::default();
        silent.note(RequestAllowance::default(), 0, Duration::ZERO);
        silent.spend();
        assert_eq!(silent.exhausted_for(Duration::ZERO), None);
        assert_eq!(
            silent.between_uploads(MINUTE, Duration::ZERO),
            Duration::ZERO
        );
    }

    #[test]
    fn requests_that_are_still_under_way_count_as_spent() {
        let mut budget = RequestBudget::default();
        let allowance = RequestAllowance {
            limit: Some(100),
            remaining: Some(1),
            resets_in: Some(WINDOW),
        };
        budget.note(allowance, 1, Duration::ZERO);
        assert!(budget.exhausted_for(Duration::ZERO).is_some());
    }
}
