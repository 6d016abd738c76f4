//! Where "now" comes from. Everything that waits or reads the time asks a [`Clock`], so that a test can
//! hold time still and move it by hours in an instant while real sockets and databases go on working.

use std::time::{Duration, Instant};

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use tokio::sync::watch;

/// The time source of one service instance. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    System {
        origin: Instant,
    },
    Manual {
        start: DateTime<Utc>,
        elapsed: watch::Sender<Duration>,
    },
}

impl Clock {
    /// The machine's own clock.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that reads the machine's clock"
    )]
    pub fn system() -> Self {
        Self(Source::System {
            origin: Instant::now(),
        })
    }

    /// A clock that stands still until [`Clock::advance`] moves it.
    pub fn manual(start: DateTime<Utc>) -> Self {
        Self(Source::Manual {
            start,
            elapsed: watch::Sender::new(Duration::ZERO),
        })
    }

    /// The time of day in UTC, cut to whole milliseconds, the resolution of everything that we report.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that reads the machine's clock"
    )]
    pub fn now(&self) -> DateTime<Utc> {
        match &self.0 {
            Source::System { .. } => Utc::now().trunc_subsecs(3),
            Source::Manual { start, elapsed } => {
                *start + TimeDelta::from_std(*elapsed.borrow()).unwrap_or(TimeDelta::MAX)
            }
        }
    }

    /// Time since this clock was made; never goes backwards, whatever happens to the time of day.
    pub fn elapsed(&self) -> Duration {
        match &self.0 {
            Source::System { origin } => origin.elapsed(),
            Source::Manual { elapsed, .. } => *elapsed.borrow(),
        }
    }

    /// Waits until `duration` has passed on this clock.
    pub async fn sleep(&self, duration: Duration) {
        match &self.0 {
            Source::System { .. } => tokio::time::sleep(duration).await,
            Source::Manual { elapsed, .. } => {
                let mut moved = elapsed.subscribe();
                let deadline = elapsed.borrow().saturating_add(duration);
                // The sender lives in `self`, so the wait can only end by time passing.
                let _ = moved.wait_for(|now| *now >= deadline).await;
            }
        }
    }

    /// Moves a manual clock forward; the machine's own clock is left alone.
    pub fn advance(&self, duration: Duration) {
        if let Source::Manual { elapsed, .. } = &self.0 {
            elapsed.send_modify(|now| *now = now.saturating_add(duration));
        }
    }

    /// How many wait on a manual clock at present, so that a test can tell that everything has come to rest
    /// before it moves the time; always 0 for the machine's own clock.
    pub fn sleepers(&self) -> usize {
        match &self.0 {
            Source::System { .. } => 0,
            Source::Manual { elapsed, .. } => elapsed.receiver_count(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_manual_clock_moves_only_when_told() {
        let clock = Clock::manual(DateTime::UNIX_EPOCH);
        let sleeper = tokio::spawn({
            let clock = clock.clone();
            async move { clock.sleep(Duration::from_secs(60)).await }
        });
        clock.advance(Duration::from_secs(59));
        tokio::task::yield_now().await;
        assert!(!sleeper.is_finished());
        // The sleeper may have measured its start on either side of the first move.
        clock.advance(Duration::from_secs(60));
        sleeper
            .await
            .expect("the sleeper ends once its time has come");
        assert_eq!(clock.now(), DateTime::UNIX_EPOCH + TimeDelta::seconds(119));
    }
}
