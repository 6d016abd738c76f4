//! What one meter measures: a daily load curve with two peaks, calmer weekends, noise, and gaps.

use std::f64::consts::PI;

use chrono::{DateTime, Datelike, TimeDelta, Timelike, Utc, Weekday};

use super::MeterReading;

/// Data points of each meter.
pub(super) const DATA_POINTS: usize = 6;

/// The external id of the meter with this number, counting from 0.
pub(super) fn meter_id(number: u32) -> String {
    format!("METER-{:03}", number + 1)
}

#[derive(Clone, Debug)]
pub(super) struct Meter {
    id: String,
    noise: Noise,
    /// Load of a quiet night in kW.
    base: f64,
    /// What the evening peak adds to it.
    peak: f64,
    energy: f64,
    gap: u32,
}

impl Meter {
    pub fn new(seed: u64, number: u32) -> Self {
        let mut noise = Noise(seed ^ (u64::from(number) + 1).wrapping_mul(0xA076_1D64_78BD_642F));
        let base = 0.4 + 3.0 * noise.fraction();
        let peak = base * (4.0 + 4.0 * noise.fraction());
        let energy = 10_000.0 * noise.fraction();
        Self {
            id: meter_id(number),
            noise,
            base,
            peak,
            energy,
            gap: 0,
        }
    }

    /// Measures at this instant, `since_last` after the one before. Energy flows through a gap too.
    pub fn measure(
        &mut self,
        timestamp: DateTime<Utc>,
        since_last: TimeDelta,
    ) -> Vec<MeterReading> {
        let power = self.power(timestamp);
        self.energy += power * since_last.num_milliseconds() as f64 / 3_600_000.0;
        let voltage = 230.0 + self.noise.around(2.5) - power * 0.05;
        let frequency = 50.0 + self.noise.around(0.04);
        let power_factor = 0.93 + self.noise.around(0.05);
        if self.is_in_gap() {
            return Vec::new();
        }
        let current = power * 1000.0 / (voltage * power_factor * 3.0);
        let measured: [(&'static str, f64, Option<&'static str>); DATA_POINTS] = [
            ("energy_total", self.energy, Some("kWh")),
            ("power_active", power, Some("kW")),
            ("voltage", voltage, Some("V")),
            ("current", current, Some("A")),
            ("frequency", frequency, Some("Hz")),
            ("power_factor", power_factor, None),
        ];
        let reading =
            |(data_point, value, unit): (&'static str, f64, Option<&'static str>)| MeterReading {
                meter: self.id.clone(),
                timestamp,
                data_point,
                thousandths: (value * 1000.0).round() as i64,
                unit,
                is_broken: false,
            };
        measured.map(reading).into()
    }

    fn power(&mut self, timestamp: DateTime<Utc>) -> f64 {
        let hour = f64::from(timestamp.num_seconds_from_midnight()) / 3600.0;
        let weekend = matches!(timestamp.weekday(), Weekday::Sat | Weekday::Sun);
        let activity =
            0.6 * bump(hour, 7.5, 2.5) + bump(hour, 19.0, 4.0) + 0.3 * bump(hour, 13.0, 6.0);
        let curve = self.base + self.peak * activity * if weekend { 0.7 } else { 1.0 };
        (curve * (1.0 + self.noise.around(0.08))).max(0.0)
    }

    /// About one measurement in 400 begins a gap of up to twelve.
    fn is_in_gap(&mut self) -> bool {
        if self.gap == 0 && self.noise.fraction() < 1.0 / 400.0 {
            self.gap = 1 + (self.noise.fraction() * 12.0) as u32;
        }
        let in_gap = self.gap > 0;
        self.gap = self.gap.saturating_sub(1);
        in_gap
    }
}

/// A smooth hill of height 1 around `centre`, down to 0 at `half_width` hours from it.
fn bump(hour: f64, centre: f64, half_width: f64) -> f64 {
    let distance = (hour - centre).abs() / half_width;
    if distance < 1.0 {
        0.5 + 0.5 * (PI * distance).cos()
    } else {
        0.0
    }
}

/// SplitMix64: the same numbers on every machine and with every version of our dependencies.
#[derive(Clone, Debug)]
struct Noise(u64);

impl Noise {
    /// A number from 0 to 1.
    fn fraction(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A number from `-range` to `range`, more often near 0.
    fn around(&mut self, range: f64) -> f64 {
        (self.fraction() + self.fraction() - 1.0) * range
    }
}
