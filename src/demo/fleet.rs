//! What many sites ask of one Client System after an outage that hit them all, reckoned through without waiting for any
//! of it. Every delay and offset comes from the code that the service itself goes by.

use std::{cmp::Reverse, collections::BinaryHeap, fmt, time::Duration};

use chrono::{DateTime, Utc};
use rand::{Rng, SeedableRng, rngs::StdRng};

use crate::domain::schedule::{SiteSeed, until_probe};

/// The intervals as they are by default.
const CHECK_INTERVAL: Duration = Duration::from_secs(60);
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(60);
const DOWNLOAD_INTERVAL: Duration = Duration::from_secs(3600);
/// What one upload takes a site, its answer included.
const UPLOAD_TIME: Duration = Duration::from_millis(500);
/// So long after the return the requests are counted.
const LOOKED_AT: Duration = Duration::from_secs(180);
/// Rows of the table stand for so many seconds.
const ROW: usize = 10;

/// Sites that lose the Client System at the same moment, and get it back at the same moment.
#[derive(Clone, Copy, Debug)]
pub struct Fleet {
    /// How many.
    pub sites: u32,
    /// For how long it is away.
    pub outage: Duration,
    /// Batches that each site has to upload after that.
    pub batches: u32,
    /// Decides everything that is random.
    pub seed: u64,
}

/// Whether sites spread their calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    /// Offsets derived from the site, and a random extra on every delay: the service.
    Spread,
    /// The same schedules without either.
    InStep,
}

/// What came to the Client System after its return.
#[derive(Clone, Debug)]
pub struct Arrivals {
    /// Requests in each second.
    pub per_second: Vec<u64>,
    /// The time from the first to the last site's finding the Client System, the slowest and the quickest twentieth of
    /// the sites left out.
    pub spread: Duration,
}

/// With and without spreading.
#[derive(Clone, Debug)]
pub struct Comparison {
    fleet: Fleet,
    /// As the service does.
    pub spread: Arrivals,
    /// As it would be without.
    pub in_step: Arrivals,
}

impl Fleet {
    /// Reckons both through.
    pub fn compare(&self) -> Comparison {
        Comparison {
            fleet: *self,
            spread: self.arrivals(Manner::Spread),
            in_step: self.arrivals(Manner::InStep),
        }
    }

    fn arrivals(&self, manner: Manner) -> Arrivals {
        let mut random = StdRng::seed_from_u64(self.seed);
        let mut found: Vec<Duration> = Vec::new();
        let mut requests = BinaryHeap::new();
        for site in 0..self.sites {
            let seed = match manner {
                Manner::Spread => SiteSeed::new(&format!("key of site {site}")),
                Manner::InStep => SiteSeed::new("one key for all"),
            };
            let mut chance = || match manner {
                Manner::Spread => random.random(),
                Manner::InStep => 0.0,
            };
            let returned = self.finds_the_return(seed, &mut chance);
            found.push(returned);
            let calls = self.calls_after(seed, returned);
            requests.extend(calls.into_iter().map(Reverse));
        }
        found.sort_unstable();
        let mut per_second = vec![0; LOOKED_AT.as_secs() as usize];
        while let Some(Reverse(at)) = requests.pop() {
            if let Some(count) = per_second.get_mut(at.as_secs() as usize) {
                *count += 1;
            }
        }
        let twentieth = found.len() / 20;
        let spread = found[found.len() - 1 - twentieth].saturating_sub(found[twentieth]);
        Arrivals { per_second, spread }
    }

    /// The time from the Client System's return to the probe that finds it. A site notices the outage at its first call
    /// after the beginning, which is a heartbeat at its own offset.
    fn finds_the_return(&self, seed: SiteSeed, chance: &mut impl FnMut() -> f64) -> Duration {
        let mut now = until_due(seed, "heartbeat", HEARTBEAT_INTERVAL, Duration::ZERO);
        let mut failures = 1;
        while now < self.outage {
            now += until_probe(failures, CHECK_INTERVAL, chance());
            failures += 1;
        }
        now - self.outage
    }

    /// The probe, the uploads of one pass after another's answer, and what the schedules add; times since the return.
    fn calls_after(&self, seed: SiteSeed, returned: Duration) -> Vec<Duration> {
        let mut calls = vec![returned];
        calls.extend((0..self.batches).map(|batch| returned + UPLOAD_TIME * batch));
        for (job, interval) in [
            ("heartbeat", HEARTBEAT_INTERVAL),
            ("config", DOWNLOAD_INTERVAL),
        ] {
            let mut at = returned + until_due(seed, job, interval, self.outage + returned);
            while at < LOOKED_AT {
                calls.push(at);
                at += interval;
            }
        }
        calls
    }
}

/// How long until a job is due, `since_start` after the outage began.
fn until_due(seed: SiteSeed, job: &str, interval: Duration, since_start: Duration) -> Duration {
    let now: DateTime<Utc> = DateTime::UNIX_EPOCH + since_start;
    seed.until_due(job, interval, now)
}

impl Arrivals {
    /// The busiest second.
    pub fn peak(&self) -> u64 {
        self.per_second.iter().copied().max().unwrap_or(0)
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Fleet {
            sites,
            outage,
            batches,
            seed,
        } = self.fleet;
        writeln!(
            formatter,
            "{sites} sites after an outage of {} s, {batches} batches each; seed {seed}\n",
            outage.as_secs()
        )?;
        writeln!(
            formatter,
            "| seconds after the return | requests/s | busiest second | in step: requests/s | busiest second |"
        )?;
        writeln!(formatter, "| --- | ---: | ---: | ---: | ---: |")?;
        let rows = self
            .spread
            .per_second
            .chunks(ROW)
            .zip(self.in_step.per_second.chunks(ROW));
        for (number, (spread, in_step)) in rows.enumerate() {
            let mean = |row: &[u64]| row.iter().sum::<u64>() / row.len() as u64;
            let busiest = |row: &[u64]| row.iter().copied().max().unwrap_or(0);
            writeln!(
                formatter,
                "| {} to {} | {} | {} | {} | {} |",
                number * ROW,
                (number + 1) * ROW,
                mean(spread),
                busiest(spread),
                mean(in_step),
                busiest(in_step)
            )?;
        }
        writeln!(
            formatter,
            "\nNine sites of ten find it within {:.1} s of each other, in step within {:.1} s.",
            self.spread.spread.as_secs_f64(),
            self.in_step.spread.as_secs_f64()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLEET: Fleet = Fleet {
        sites: 10_000,
        outage: Duration::from_secs(3600),
        batches: 12,
        seed: 1,
    };

    #[test]
    fn sites_come_back_spread_over_at_least_half_of_the_interval() {
        let comparison = FLEET.compare();
        assert!(
            comparison.spread.spread >= CHECK_INTERVAL / 2,
            "{comparison}"
        );
        assert!(
            comparison.spread.peak() * 4 < comparison.in_step.peak(),
            "{comparison}"
        );
    }

    #[test]
    fn an_outage_long_enough_to_reach_the_cap_spreads_the_more() {
        for seconds in [600, 86_400] {
            let fleet = Fleet {
                outage: Duration::from_secs(seconds),
                sites: 2_000,
                ..FLEET
            };
            let comparison = fleet.compare();
            assert!(
                comparison.spread.spread >= CHECK_INTERVAL / 2,
                "{comparison}"
            );
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_table() {
        assert_eq!(FLEET.compare().to_string(), FLEET.compare().to_string());
    }
}
