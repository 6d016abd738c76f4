//! When periodic work is due, so that a fleet of sites does not call in step. Pure.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::backoff::Backoff;

/// The first probe after an outage began comes after this time.
pub const FIRST_PROBE: Duration = Duration::from_secs(1);

/// How long until the Client System is looked for again, after so many failures in a row: soon at first, and later as
/// often as it is checked while online. `random` is uniform in 0..1.
pub fn until_probe(failures: u32, check_interval: Duration, random: f64) -> Duration {
    let probing = Backoff {
        base: FIRST_PROBE.min(check_interval),
        cap: check_interval,
    };
    probing.delay_with_extra(failures, random)
}

/// Derives offsets that are stable for a site and differ between sites and jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SiteSeed(u64);

impl SiteSeed {
    /// A seed from what tells this site from others, the API key for instance; it cannot be turned back.
    pub fn new(identity: &str) -> Self {
        // FNV-1a: stable over versions and machines, which the standard library's hasher does not promise.
        let hash = identity
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
            });
        Self(hash)
    }

    /// Where in its interval a job runs at this site.
    pub fn offset(self, job: &str, interval: Duration) -> Duration {
        let Self(mixed) = Self::new(&format!("{:016x}/{job}", self.0));
        let milliseconds = u64::try_from(interval.as_millis()).unwrap_or(u64::MAX);
        // The high bits of FNV are the better mixed ones.
        Duration::from_millis(((u128::from(mixed) * u128::from(milliseconds)) >> 64) as u64)
    }

    /// How long from `now` until the job is due: at its offset in every interval since the epoch.
    pub fn until_due(self, job: &str, interval: Duration, now: DateTime<Utc>) -> Duration {
        let interval_ms = i64::try_from(interval.as_millis())
            .unwrap_or(i64::MAX)
            .max(1);
        let offset_ms = i64::try_from(self.offset(job, interval).as_millis()).unwrap_or(0);
        let past = (now.timestamp_millis() - offset_ms).rem_euclid(interval_ms);
        Duration::from_millis(u64::try_from(interval_ms - past).unwrap_or(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeDelta;

    #[test]
    fn a_job_is_due_once_in_every_interval() {
        let (seed, interval) = (SiteSeed::new("key"), Duration::from_secs(300));
        let mut now = DateTime::UNIX_EPOCH + TimeDelta::milliseconds(1_767_225_600_123);
        now += TimeDelta::from_std(seed.until_due("sync", interval, now)).expect("short");
        for _ in 0..5 {
            assert_eq!(seed.until_due("sync", interval, now), interval);
            now += TimeDelta::from_std(interval).expect("short");
        }
    }

    #[test]
    fn sites_and_jobs_spread_over_the_interval() {
        let interval = Duration::from_secs(100);
        let mut buckets = [0_u32; 10];
        for site in 0..10_000 {
            let offset = SiteSeed::new(&format!("site-{site}")).offset("sync", interval);
            assert!(offset < interval);
            buckets[(offset.as_secs() / 10) as usize] += 1;
        }
        assert!(
            buckets.iter().all(|count| (850..1150).contains(count)),
            "{buckets:?}"
        );
        let seed = SiteSeed::new("site");
        assert_ne!(
            seed.offset("sync", interval),
            seed.offset("heartbeat", interval)
        );
    }
}
