//! What the charts show of a history: stretches with samples, stretches without, and the whole in a sentence.

use crate::domain::{
    history::{History, Sample},
    timestamp::Timestamp,
};

use super::{axes::Wall, words};

/// A moment, in seconds from the beginning of the history, and a value.
pub(super) type Point = (f64, f64);
/// From when to when, in seconds from the beginning of the history.
pub(super) type Stretch = (f64, f64);

/// Points of a line, at most; a chart is a few hundred pixels wide.
const MOST_POINTS: usize = 240;

fn since_start(history: &History, at: Timestamp) -> f64 {
    at.seconds_since(history.from)
}

fn step(history: &History) -> f64 {
    f64::from(i32::try_from(history.step_s).unwrap_or(i32::MAX)).max(1.0)
}

/// Where the history ends, in seconds from its beginning.
pub(super) fn end(history: &History) -> f64 {
    since_start(history, history.to).max(1.0)
}

/// Runs of samples that none is missing between.
fn runs(history: &History) -> Vec<&[Sample]> {
    let step = step(history);
    history
        .samples
        .chunk_by(|one, next| next.at.seconds_since(one.at) < step * 1.5)
        .collect()
}

/// From the first of some samples to where the last one ends.
fn extent(history: &History, run: &[Sample]) -> Option<Stretch> {
    let (first, last) = (run.first()?, run.last()?);
    let until = since_start(history, last.at) + step(history);
    Some((since_start(history, first.at), until.min(end(history))))
}

/// A line for every run of samples; the last value of each lasts to its end. Where there are more samples than can be told
/// apart, the highest of neighbours stands for them.
pub(super) fn lines(history: &History, value: impl Fn(&Sample) -> f64) -> Vec<Vec<Point>> {
    let neighbours = history.samples.len().div_ceil(MOST_POINTS).max(1);
    let point = |samples: &[Sample]| {
        let highest = samples.iter().map(&value).fold(0.0, f64::max);
        Some((since_start(history, samples.first()?.at), highest))
    };
    let line = |run: &[Sample]| {
        let mut points: Vec<Point> = run.chunks(neighbours).filter_map(point).collect();
        let (_, until) = extent(history, run)?;
        points.push((until, value(run.last()?)));
        Some(without_needless(points))
    };
    runs(history).into_iter().filter_map(line).collect()
}

/// Points between two of the same value add nothing to a line.
fn without_needless(points: Vec<Point>) -> Vec<Point> {
    let mut kept: Vec<Point> = Vec::with_capacity(points.len());
    for point in points {
        let is_flat = |before: &Point| before.1.to_bits() == point.1.to_bits();
        if let [.., one, other] = &kept[..]
            && is_flat(one)
            && is_flat(other)
        {
            kept.pop();
        }
        kept.push(point);
    }
    kept
}

/// Where samples are missing: the service did not run.
pub(super) fn absences(history: &History) -> Vec<Stretch> {
    let mut absences = Vec::new();
    let mut seen = 0.0;
    for (from, until) in runs(history)
        .into_iter()
        .filter_map(|run| extent(history, run))
    {
        absences.push((seen, from));
        seen = until;
    }
    absences.push((seen, end(history)));
    let shortest = step(history);
    absences.retain(|(from, until)| until - from >= shortest);
    absences
}

/// Where there are samples.
pub(super) fn presences(history: &History) -> Vec<Stretch> {
    let runs = runs(history).into_iter();
    runs.filter_map(|run| extent(history, run)).collect()
}

/// An outage: where it lay, and how many seconds it lasted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Outage {
    pub(super) stretch: Stretch,
    pub(super) seconds: u64,
}

/// The outages, each drawn where it fits best: a sample tells how long the link was down in it, not when.
pub(super) fn outages(history: &History) -> Vec<Outage> {
    let step = step(history);
    let outage = |group: &[Sample]| {
        let (mut from, mut until) = extent(history, group)?;
        let short_of = |sample: &Sample| step - seconds(sample.offline_s).min(step);
        match group {
            [only] => until -= short_of(only),
            [first, .., last] => {
                from += short_of(first);
                until -= short_of(last);
            }
            [] => return None,
        }
        Some(Outage {
            stretch: (from, until.max(from)),
            seconds: group.iter().map(|sample| sample.offline_s).sum(),
        })
    };
    runs(history)
        .into_iter()
        .flat_map(|run| run.split(|sample| sample.offline_s == 0))
        .filter_map(outage)
        .collect()
}

/// A count as a number on an axis.
pub(super) fn seconds(number: u64) -> f64 {
    #[expect(
        clippy::cast_precision_loss,
        reason = "a chart is a few hundred pixels high"
    )]
    let number = number as f64;
    number
}

/// Readings a second while a sample was taken.
pub(super) fn rate(history: &History, sample: &Sample) -> f64 {
    seconds(sample.uploaded) / step(history)
}

/// The last value and the highest one, with its time, in the words that `tell` has for a value.
pub(super) fn last_and_highest(
    history: &History,
    hours: u32,
    wall: Wall,
    value: impl Fn(&Sample) -> f64,
    tell: impl Fn(f64) -> String,
) -> Option<String> {
    let last = history.samples.last()?;
    let highest = history
        .samples
        .iter()
        .max_by(|one, other| value(one).total_cmp(&value(other)))?;
    let words = format!("latest {}", tell(value(last)));
    if value(highest) <= value(last) {
        return Some(words);
    }
    Some(format!(
        "{words}, at most {} ({})",
        tell(value(highest)),
        wall.moment(highest.at, hours)
    ))
}

/// The link in a sentence.
pub(super) fn link_in_words(history: &History) -> Option<String> {
    let present: f64 = presences(history)
        .iter()
        .map(|(from, until)| until - from)
        .sum();
    if present <= 0.0 {
        return None;
    }
    let outages = outages(history);
    let down: u64 = outages.iter().map(|outage| outage.seconds).sum();
    let Some(longest) = outages.iter().map(|outage| outage.seconds).max() else {
        return Some("no outage".to_owned());
    };
    let percent = (1.0 - seconds(down) / present).clamp(0.0, 1.0) * 100.0;
    // What was not whole is not told as whole.
    let percent = (percent * 100.0).floor() / 100.0;
    Some(format!(
        "up {percent} % of the time; {}, the longest {}",
        words::counted(outages.len() as u64, "outage", "outages"),
        words::lasting(longest)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::timestamp::Timestamp;
    use chrono::{DateTime, TimeDelta};

    fn at(minutes: i64) -> Timestamp {
        Timestamp(DateTime::UNIX_EPOCH + TimeDelta::minutes(minutes))
    }

    /// An hour whose samples are made of minute and seconds offline.
    fn hour(samples: &[(i64, u64)]) -> History {
        let samples = samples.iter().map(|(minute, offline_s)| Sample {
            at: at(*minute),
            pending: 7,
            oldest_pending_age_s: None,
            uploaded: 120,
            offline_s: *offline_s,
        });
        History {
            from: at(0),
            to: at(60),
            step_s: 60,
            samples: samples.collect(),
        }
    }

    #[test]
    fn where_samples_are_missing_there_is_no_line() {
        let history = hour(&[(10, 0), (11, 0), (12, 0), (30, 0)]);
        let lines = lines(&history, |sample| seconds(sample.pending));
        assert_eq!(
            lines,
            [
                vec![(600.0, 7.0), (780.0, 7.0)],
                vec![(1800.0, 7.0), (1860.0, 7.0)]
            ]
        );
        assert_eq!(
            absences(&history),
            [(0.0, 600.0), (780.0, 1800.0), (1860.0, 3600.0)]
        );
        assert_eq!(absences(&hour(&[])), [(0.0, 3600.0)]);
    }

    #[test]
    fn outages_are_told_with_their_length() {
        let history = hour(&[(0, 0), (1, 20), (2, 60), (3, 30), (4, 0), (5, 10), (6, 0)]);
        assert_eq!(
            outages(&history),
            [
                Outage {
                    stretch: (100.0, 210.0),
                    seconds: 110
                },
                Outage {
                    stretch: (300.0, 310.0),
                    seconds: 10
                },
            ]
        );
        assert_eq!(
            link_in_words(&history).as_deref(),
            Some("up 71.42 % of the time; 2 outages, the longest 1 min")
        );
        assert_eq!(
            link_in_words(&hour(&[(0, 0)])).as_deref(),
            Some("no outage")
        );
        assert_eq!(link_in_words(&hour(&[])), None);
    }

    #[test]
    fn the_last_and_the_highest_value_are_told() {
        let mut history = hour(&[(0, 0), (1, 0)]);
        history.samples[0].pending = 1_200;
        let tell = |value: f64| words::count(words::whole(value));
        let wall = Wall { offset_minutes: 60 };
        let told = last_and_highest(&history, 1, wall, |sample| seconds(sample.pending), tell);
        assert_eq!(told.as_deref(), Some("latest 7, at most 1,200 (01:00)"));
        assert_eq!(rate(&history, &history.samples[0]).to_string(), "2");
    }
}
