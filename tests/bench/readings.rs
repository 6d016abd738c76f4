//! The readings that everything is measured with: 50 meters with 8 data points, each read once a minute, about 128 bytes
//! of JSON apiece. The same ones every time, for chance is drawn from a fixed seed.

use std::fmt::Write;

use chrono::{DateTime, Duration, Utc};

const METERS: usize = 50;
/// Meter and data point together make a series.
const SERIES: usize = METERS * POINTS.len();

/// Something that a meter measures.
pub struct Point {
    pub name: &'static str,
    pub unit: &'static str,
    /// Where the first meter begins, in thousandths.
    start: i64,
    /// The most that a minute changes, in thousandths.
    step: u64,
    /// A counter never goes back.
    counts: bool,
}

const POINTS: [Point; 8] = [
    point("energy_total", "kWh", 120_000_000, 400, true),
    point("power_active", "kW", 42_000, 800, false),
    point("power_reactive", "kVAr", 9_000, 300, false),
    point("voltage_l1", "V", 230_000, 500, false),
    point("voltage_l2", "V", 231_000, 500, false),
    point("current_l1", "A", 61_000, 900, false),
    point("power_factor", "pf", 950, 4, false),
    point("frequency", "Hz", 50_000, 10, false),
];

const fn point(
    name: &'static str,
    unit: &'static str,
    start: i64,
    step: u64,
    counts: bool,
) -> Point {
    Point {
        name,
        unit,
        start,
        step,
        counts,
    }
}

/// One reading.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// Its place among all readings, from 0.
    pub number: usize,
    /// Its value.
    pub thousandths: i64,
}

impl Reading {
    pub fn meter(self) -> String {
        format!("METER-{:04}", self.number % SERIES / POINTS.len() + 1)
    }

    pub fn point(self) -> &'static Point {
        &POINTS[self.number % POINTS.len()]
    }

    pub fn time(self) -> DateTime<Utc> {
        let minutes = i64::try_from(self.number / SERIES).unwrap_or(i64::MAX);
        first_time() + Duration::minutes(minutes)
    }

    /// The value with its three decimals.
    pub fn value(self) -> String {
        let sign = if self.thousandths < 0 { "-" } else { "" };
        let absolute = self.thousandths.unsigned_abs();
        format!("{sign}{}.{:03}", absolute / 1000, absolute % 1000)
    }

    /// Appends the reading as the Client System and the local API take it.
    pub fn write_json(self, text: &mut String) {
        let Point { name, unit, .. } = self.point();
        // Writing into memory has no way to fail.
        let _ = write!(
            text,
            r#"{{"meter_external_id":"{}","timestamp":"{}","data_point":"{name}","value":{},"unit":"{unit}"}}"#,
            self.meter(),
            self.time().format("%Y-%m-%dT%H:%M:%S.000Z"),
            self.value(),
        );
    }
}

fn first_time() -> DateTime<Utc> {
    DateTime::from_timestamp(1_767_225_600, 0).unwrap_or_default()
}

/// The first `count` readings, meter by meter, minute by minute.
pub fn readings(count: usize) -> impl Iterator<Item = Reading> {
    let mut chance = Chance(0);
    let mut levels: Vec<i64> = (0..SERIES)
        .map(|series| {
            let first = POINTS[series % POINTS.len()].start;
            let meter = i64::try_from(series / POINTS.len()).unwrap_or(0);
            first + first * meter / 500
        })
        .collect();
    (0..count).map(move |number| {
        let point = &POINTS[number % POINTS.len()];
        let level = &mut levels[number % SERIES];
        let moved = chance.below(point.step + 1);
        *level += if point.counts {
            moved
        } else {
            moved - point.step.cast_signed() / 2
        };
        Reading {
            number,
            thousandths: *level,
        }
    })
}

/// The place among all readings of the one that is called so.
pub fn number_of(meter: &str, point: &str, time: DateTime<Utc>) -> Option<usize> {
    let meter: usize = meter.strip_prefix("METER-")?.parse().ok()?;
    let meter = meter.checked_sub(1).filter(|meter| *meter < METERS)?;
    let point = POINTS.iter().position(|known| known.name == point)?;
    let minute = usize::try_from((time - first_time()).num_minutes()).ok()?;
    Some(minute * SERIES + meter * POINTS.len() + point)
}

/// A multiply-xorshift generator: good enough to make values differ, and the same everywhere.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: u64) -> i64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 32)).wrapping_mul(0xD6E8_FEB8_6659_FD93);
        let mixed = (mixed ^ (mixed >> 32)).wrapping_mul(0xD6E8_FEB8_6659_FD93);
        ((mixed ^ (mixed >> 32)) % end).cast_signed()
    }
}
