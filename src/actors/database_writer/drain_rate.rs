//! How fast the queue empties and when it will be empty, from what left it and what others changed meanwhile; pure.

use std::{collections::VecDeque, time::Duration};

/// The shortest time to average over, and the longest that anything is kept for.
const WINDOW: Duration = Duration::from_secs(60);
const LONGEST_WINDOW: Duration = Duration::from_secs(900);
/// What happens within so short a time happens at once.
const AT_ONCE: Duration = Duration::from_secs(1);
/// Departures that an average takes in, where there are as many within the longest window.
const FEW_DEPARTURES: usize = 5;
/// Nothing is made of a departure that is late by less than this.
const PATIENCE: Duration = Duration::from_secs(10);
/// So many times as long as usual is no delay any more.
const UNUSUAL: u32 = 3;
/// What remains of the rate after what comes in has to be more than the error of the two.
const LEAST_NET_SHARE: f64 = 0.1;

/// Amounts by time, those at the same time in one.
#[derive(Debug, Default)]
struct Flow(VecDeque<Portion>);

#[derive(Clone, Copy, Debug)]
struct Portion {
    first: Duration,
    last: Duration,
    amount: f64,
}

impl Flow {
    fn add(&mut self, now: Duration, amount: f64) {
        match self.0.back_mut() {
            Some(portion) if now.saturating_sub(portion.first) < AT_ONCE => {
                portion.last = now;
                portion.amount += amount;
            }
            _ => self.0.push_back(Portion {
                first: now,
                last: now,
                amount,
            }),
        }
        while (self.0.front()).is_some_and(|portion| age(portion, now) > LONGEST_WINDOW) {
            self.0.pop_front();
        }
    }

    /// The time before the portion at `at`.
    fn gap(&self, at: usize) -> Option<Duration> {
        let before = self.0.get(at.checked_sub(1)?)?;
        Some(self.0.get(at)?.last.saturating_sub(before.last))
    }

    /// Whether more lies before the portion at `at` than a delay, as its neighbours show.
    fn is_after_pause(&self, at: usize) -> bool {
        let neighbours = (at.saturating_sub(3)..at).chain(at + 1..=at + 3);
        let usual = neighbours.filter_map(|near| self.gap(near)).max();
        let longest = usual.unwrap_or_default().max(PATIENCE) * UNUSUAL;
        self.gap(at).is_none_or(|gap| gap > longest)
    }

    /// Where the portions begin that are judged together.
    fn window(&self, now: Duration) -> usize {
        let mut begin = self.0.len().saturating_sub(1);
        while begin > 0 && !self.is_after_pause(begin) {
            let before = age(&self.0[begin - 1], now);
            let is_enough = self.0.len() - begin >= FEW_DEPARTURES;
            if before > LONGEST_WINDOW || (before > WINDOW && is_enough) {
                break;
            }
            begin -= 1;
        }
        begin
    }

    /// The sum of what came after `since`. A single portion that outweighs all others tells nothing about what is to come.
    fn usual_since(&self, since: Duration) -> f64 {
        let amounts = || {
            let portions = self.0.iter().filter(|portion| portion.first > since);
            portions.map(|portion| portion.amount)
        };
        let largest = amounts().max_by(|one, other| one.abs().total_cmp(&other.abs()));
        let largest = largest.unwrap_or_default();
        let all: f64 = amounts().map(f64::abs).sum();
        let sum: f64 = amounts().sum();
        if largest.abs() * 2.0 > all {
            sum - largest
        } else {
            sum
        }
    }
}

fn age(portion: &Portion, now: Duration) -> Duration {
    now.saturating_sub(portion.last)
}

/// Several departures, judged together.
struct Pace {
    since: Duration,
    per_second: f64,
    usual_gap: Duration,
}

impl Pace {
    /// How long the next departure may take before it seems that there is none.
    fn patience(&self) -> Duration {
        PATIENCE.max(self.usual_gap * UNUSUAL)
    }
}

/// How fast the queue empties.
#[derive(Debug, Default)]
pub(super) struct DrainRate {
    departures: Flow,
    /// What others added, less what they took out.
    additions: Flow,
}

impl DrainRate {
    /// Readings left the queue by our own doing.
    pub(super) fn departed(&mut self, now: Duration, readings: u64) {
        self.departures.add(now, readings as f64);
    }

    /// The queue was found longer, or shorter, than our own doing has left it.
    pub(super) fn changed(&mut self, now: Duration, before: u64, after: u64) {
        if before != after {
            self.additions.add(now, after as f64 - before as f64);
        }
    }

    /// Readings that leave the queue per second, averaged over the last minute, or over the last few departures where these
    /// are further apart.
    pub(super) fn per_second(&self, now: Duration) -> f64 {
        let Some(last) = self.departures.0.back() else {
            return 0.0;
        };
        let silence = age(last, now);
        match self.pace(now) {
            Some(pace) if silence <= pace.patience().max(WINDOW) => pace.per_second,
            None if silence <= WINDOW => self.first_pace(now),
            _ => 0.0,
        }
    }

    /// A drain that has only just begun is judged over its own length.
    fn first_pace(&self, now: Duration) -> f64 {
        let begun = self.departures.0.range(self.departures.window(now)..);
        let since = begun.clone().next().map_or(now, |portion| portion.first);
        let departed: f64 = begun.map(|portion| portion.amount).sum();
        departed / now.saturating_sub(since).max(AT_ONCE).as_secs_f64()
    }

    /// Seconds until the queue is empty; none where it does not shrink, or nobody can tell.
    pub(super) fn eta(&self, now: Duration, pending: u64) -> Option<f64> {
        if pending == 0 {
            return Some(0.0);
        }
        let silence = age(self.departures.0.back()?, now);
        let pace = self.pace(now).filter(|pace| silence <= pace.patience())?;
        let over = now.saturating_sub(pace.since).as_secs_f64();
        let net = pace.per_second - self.additions.usual_since(pace.since) / over;
        // A part of the time until the next departure has passed already.
        let passed = silence.min(pace.usual_gap).as_secs_f64();
        (net > pace.per_second * LEAST_NET_SHARE).then(|| (pending as f64 / net - passed).max(0.0))
    }

    /// None where no two departures belong together, or where they lie too close to tell the time from one to the next.
    fn pace(&self, now: Duration) -> Option<Pace> {
        let portions = &self.departures.0;
        let begin = self.departures.window(now);
        let (first, last) = (portions.get(begin)?, portions.back()?);
        let gaps = u32::try_from(portions.len() - 1 - begin).ok()?;
        let span = last.last.saturating_sub(first.last);
        let usual_gap = span.checked_div(gaps).filter(|_| span >= AT_ONCE)?;
        // What left first took the time before it, which is not among that counted here.
        let departed: f64 = (portions.range(begin + 1..))
            .map(|portion| portion.amount)
            .sum();
        let overdue = age(last, now).saturating_sub(usual_gap);
        Some(Pace {
            since: first.last,
            per_second: departed / (span + overdue).as_secs_f64(),
            usual_gap,
        })
    }
}

#[cfg(test)]
#[path = "drain_rate_tests.rs"]
mod tests;
