//! Simulated meters: what they measure, and how the Meter Collection Service writes it down.

mod load;
mod writer;

use std::{collections::VecDeque, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};

use self::load::Meter;
pub use self::writer::MeterWriter;

/// One generated reading; unique by meter, timestamp and data point within its site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeterReading {
    /// The meter's external id.
    pub meter: String,
    /// When it was measured, in whole milliseconds.
    pub timestamp: DateTime<Utc>,
    /// What was measured.
    pub data_point: &'static str,
    /// The value in thousandths, the resolution of the database's column.
    pub thousandths: i64,
    /// The unit; a power factor has none.
    pub unit: Option<&'static str>,
    /// Whether the meter failed and wrote something that is no number.
    pub is_broken: bool,
}

impl MeterReading {
    /// The value in its shortest decimal form, as SQLite gives it back: `230.4`, `50`; `NaN` where it is broken.
    pub fn value(&self) -> String {
        if self.is_broken {
            return "NaN".to_owned();
        }
        let sign = if self.thousandths < 0 { "-" } else { "" };
        let magnitude = self.thousandths.unsigned_abs();
        let text = format!("{sign}{}.{:03}", magnitude / 1000, magnitude % 1000);
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    }
}

/// A site full of meters. The same settings always give the same readings.
#[derive(Clone, Copy, Debug)]
pub struct MeteredSite {
    /// Sets loads, noise and gaps.
    pub seed: u64,
    /// Number of meters.
    pub meters: u32,
    /// Time between two measurements of one meter; at least a millisecond.
    pub interval: Duration,
    /// Time of the first measurement.
    pub first: DateTime<Utc>,
}

impl MeteredSite {
    /// A site whose first `readings` readings all lie before `end`, the last of them shortly before.
    pub fn with_backlog(
        seed: u64,
        meters: u32,
        interval: Duration,
        end: DateTime<Utc>,
        readings: u64,
    ) -> Self {
        let start_at = |first| Self {
            seed,
            meters,
            interval,
            first,
        };
        let per_tick = u64::from(meters.max(1)) * load::DATA_POINTS as u64;
        // Gaps make some measurements fall out; five per cent more time is plenty for these.
        let ticks = (readings / per_tick + 1) * 21 / 20 + 50;
        let span = start_at(end).tick_length() * i32::try_from(ticks).unwrap_or(i32::MAX);
        start_at(end - span)
    }

    /// The external ids of its meters.
    pub fn meter_ids(&self) -> Vec<String> {
        (0..self.meters).map(load::meter_id).collect()
    }

    /// All readings in the order of time, without end.
    pub fn readings(&self) -> Readings {
        let meters = (0..self.meters)
            .map(|number| Meter::new(self.seed, number))
            .collect();
        Readings {
            site: *self,
            meters,
            tick: 0,
            waiting: VecDeque::new(),
        }
    }

    fn tick_length(&self) -> TimeDelta {
        let milliseconds = i64::try_from(self.interval.as_millis())
            .unwrap_or(i64::MAX)
            .max(1);
        TimeDelta::milliseconds(milliseconds)
    }
}

/// The readings of a site, one by one or one measurement of all meters at a time.
#[derive(Clone, Debug)]
pub struct Readings {
    site: MeteredSite,
    meters: Vec<Meter>,
    tick: i32,
    waiting: VecDeque<MeterReading>,
}

impl Readings {
    /// What all meters measure at the next instant; empty when each of them happens to have a gap.
    pub fn next_tick(&mut self) -> Vec<MeterReading> {
        let length = self.site.tick_length();
        let timestamp = self.site.first + length * self.tick;
        self.tick += 1;
        self.meters
            .iter_mut()
            .flat_map(|meter| meter.measure(timestamp, length))
            .collect()
    }
}

impl Iterator for Readings {
    type Item = MeterReading;

    /// Never ends, unless the site has no meters.
    fn next(&mut self) -> Option<MeterReading> {
        while self.waiting.is_empty() && !self.meters.is_empty() {
            self.waiting = self.next_tick().into();
        }
        self.waiting.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn site(seed: u64) -> MeteredSite {
        let first = DateTime::parse_from_rfc3339("2026-01-05T00:00:00Z")
            .expect("a valid time")
            .to_utc();
        MeteredSite {
            seed,
            meters: 4,
            interval: Duration::from_secs(60),
            first,
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_readings_and_another_gives_others() {
        let of = |seed| site(seed).readings().take(5_000).collect::<Vec<_>>();
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
    }

    #[test]
    fn every_reading_is_unique_and_there_are_gaps() {
        let readings: Vec<_> = site(1).readings().take(50_000).collect();
        let identities: HashSet<_> = readings
            .iter()
            .map(|reading| (&reading.meter, reading.timestamp, reading.data_point))
            .collect();
        assert_eq!(identities.len(), 50_000);
        let mut whole = site(1).readings();
        let full = 4 * load::DATA_POINTS;
        assert!((0..2_000).any(|_| whole.next_tick().len() < full));
    }

    #[test]
    fn energy_never_runs_backwards_and_load_follows_the_day() {
        let of_point = |point| {
            let readings = site(3).readings().take(80_000);
            let of_one = readings
                .filter(move |reading| reading.data_point == point && reading.meter == "METER-001");
            of_one.collect::<Vec<_>>()
        };
        let energy = of_point("energy_total");
        assert!(energy.is_sorted_by_key(|reading| reading.thousandths));
        let power_at = |hour: u32| {
            use chrono::Timelike;
            let power = of_point("power_active");
            let at_hour: Vec<i64> = power
                .iter()
                .filter(|reading| reading.timestamp.hour() == hour)
                .map(|reading| reading.thousandths)
                .collect();
            at_hour.iter().sum::<i64>() / at_hour.len() as i64
        };
        assert!(power_at(19) > 2 * power_at(3));
    }

    #[test]
    fn a_backlog_lies_in_the_past_but_not_far() {
        let end = site(1).first;
        let interval = Duration::from_secs(60);
        let last = MeteredSite::with_backlog(1, 4, interval, end, 10_000)
            .readings()
            .nth(9_999)
            .expect("no end");
        assert!(last.timestamp < end);
        assert!(end - last.timestamp < TimeDelta::hours(2));
    }

    #[test]
    fn values_are_written_in_their_shortest_form() {
        let value = |thousandths| {
            let reading = MeterReading {
                meter: String::new(),
                timestamp: DateTime::UNIX_EPOCH,
                data_point: "",
                thousandths,
                unit: None,
                is_broken: false,
            };
            reading.value()
        };
        assert_eq!(
            [
                value(230_400),
                value(50_000),
                value(7),
                value(-1_250),
                value(0)
            ],
            ["230.4", "50", "0.007", "-1.25", "0"]
        );
    }
}
