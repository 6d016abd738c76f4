//! Where the marks of a chart's axes are, and what stands beside them.

use chrono::{DateTime, Datelike, TimeDelta, Timelike};

use super::words;
use crate::domain::timestamp::Timestamp;

const MINUTE: f64 = 60.0;
const HOUR: f64 = 60.0 * MINUTE;
const DAY: f64 = 24.0 * HOUR;

/// Steps between times of waiting that people have names for, in seconds.
const AGE_STEPS: [f64; 16] = [
    15.0,
    MINUTE,
    5.0 * MINUTE,
    15.0 * MINUTE,
    30.0 * MINUTE,
    HOUR,
    2.0 * HOUR,
    3.0 * HOUR,
    6.0 * HOUR,
    12.0 * HOUR,
    DAY,
    2.0 * DAY,
    7.0 * DAY,
    30.0 * DAY,
    90.0 * DAY,
    365.0 * DAY,
];
/// Marks above zero, at most.
const MOST_MARKS: f64 = 4.0;
/// A mark of time has about this many pixels for its words.
const PIXELS_A_MARK: f64 = 56.0;

/// The marks of an axis that begins at zero; the last is its end.
pub(super) fn marks(highest: f64, step: f64) -> Vec<f64> {
    let mut marks = vec![0.0];
    while marks.last().is_some_and(|last| *last < highest) || marks.len() < 2 {
        marks.push(step * f64::from(u32::try_from(marks.len()).unwrap_or(u32::MAX)));
    }
    marks
}

/// A step of 1, 2 or 5 times a power of ten, at least 1.
pub(super) fn count_step(highest: f64) -> f64 {
    let mut step = 1.0;
    let mut factors = [2.0, 2.5, 2.0].into_iter().cycle();
    while step * MOST_MARKS < highest {
        step *= factors.next().unwrap_or(10.0);
    }
    step
}

/// A step that has a name, in seconds.
pub(super) fn age_step(highest: f64) -> f64 {
    let fits = |step: &f64| *step * MOST_MARKS >= highest;
    let named = AGE_STEPS.into_iter().find(fits);
    named.unwrap_or_else(|| 365.0 * DAY * count_step(highest / (365.0 * DAY)))
}

/// A time of waiting, in the unit that fits steps of this length.
pub(super) fn age_label(seconds: f64, step: f64) -> String {
    let (size, unit) = match step {
        DAY.. => (DAY, "d"),
        HOUR.. => (HOUR, "h"),
        MINUTE.. => (MINUTE, "min"),
        _ => (1.0, "s"),
    };
    format!("{} {unit}", words::shortly(seconds / size))
}

/// A moment on the viewer's clock.
#[derive(Clone, Copy)]
pub(super) struct Wall {
    pub(super) offset_minutes: i32,
}

impl Wall {
    fn reads(self, at: Timestamp) -> DateTime<chrono::Utc> {
        at.0 + TimeDelta::minutes(self.offset_minutes.into())
    }

    /// The time of day, with the day where the chart shows several.
    pub(super) fn moment(self, at: Timestamp, hours: u32) -> String {
        let format = if hours > 24 { "%a %H:%M" } else { "%H:%M" };
        self.reads(at).format(format).to_string()
    }

    /// Round times of the viewer's clock, in seconds from `from`, so many that their words fit, and these words.
    pub(super) fn marks(self, from: Timestamp, hours: u32, width: u32) -> Vec<(f64, String)> {
        let span = f64::from(hours) * HOUR;
        let room = (f64::from(width) / PIXELS_A_MARK).max(2.0);
        let steps = [
            5.0 * MINUTE,
            10.0 * MINUTE,
            15.0 * MINUTE,
            30.0 * MINUTE,
            2.0 * HOUR,
            3.0 * HOUR,
            6.0 * HOUR,
            12.0 * HOUR,
            DAY,
            2.0 * DAY,
        ];
        let step = steps.into_iter().find(|step| span / step <= room);
        let step = words::whole(step.unwrap_or(2.0 * DAY));
        let start = self.reads(from);
        let since_midnight = u64::from(start.num_seconds_from_midnight());
        let days = u64::from(start.ordinal0());
        let first = step - (days * 86_400 + since_midnight) % step;
        let end = words::whole(span);
        (first..end)
            .step_by(usize::try_from(step).unwrap_or(usize::MAX))
            .map(|seconds| {
                let ahead = TimeDelta::seconds(i64::try_from(seconds).unwrap_or(i64::MAX));
                let format = if step < 86_400 { "%H:%M" } else { "%a %-d" };
                let words = (start + ahead).format(format).to_string();
                (f64::from(u32::try_from(seconds).unwrap_or(u32::MAX)), words)
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse_zoned(text).unwrap()
    }

    #[test]
    fn steps_are_round_and_few() {
        for (highest, step) in [
            (0.0, 1.0),
            (3.0, 1.0),
            (5.0, 2.0),
            (17.0, 5.0),
            (1_000_000.0, 500_000.0),
        ] {
            assert_eq!(
                count_step(highest).to_string(),
                step.to_string(),
                "{highest}"
            );
            assert!(marks(highest, step).len() <= 5);
        }
        assert_eq!(marks(0.0, 1.0), [0.0, 1.0]);
        assert_eq!(marks(17.0, 5.0), [0.0, 5.0, 10.0, 15.0, 20.0]);
        assert_eq!(age_step(10.0).to_string(), "15");
        assert_eq!(age_step(3.0 * HOUR), HOUR);
        assert_eq!(age_label(5_400.0, 1_800.0), "90 min");
        assert_eq!(age_label(2.0 * DAY, DAY), "2 d");
        assert!(age_step(40_000.0 * DAY) >= 10_000.0 * DAY);
    }

    #[test]
    fn times_are_round_on_the_viewers_clock() {
        let india = Wall {
            offset_minutes: 330,
        };
        let marks = india.marks(at("2026-11-26T07:03:00Z"), 24, 640);
        assert_eq!(marks[0], (2.0 * HOUR + 27.0 * MINUTE, "15:00".into()));
        assert_eq!(marks.len(), 8);
        assert_eq!(india.moment(at("2026-11-26T20:03:00Z"), 168), "Fri 01:33");

        let week = Wall {
            offset_minutes: -60,
        }
        .marks(at("2026-11-19T07:00:00Z"), 168, 640);
        assert_eq!(week[0], (18.0 * HOUR, "Fri 20".into()));
        assert_eq!(week.len(), 7);
        let narrow = Wall { offset_minutes: 0 }.marks(at("2026-11-26T07:03:00Z"), 1, 320);
        assert_eq!(narrow[0].1, "07:15");
        assert_eq!(narrow.len(), 4);
    }
}
