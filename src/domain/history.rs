//! What the service looked like minute by minute, for charts.

use chrono::DateTime;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    connectivity::LinkChange,
    event::{Event, EventKind},
    timestamp::Timestamp,
};

/// Seconds that one kept sample stands for.
pub const MINUTE_S: i64 = 60;
/// How long samples are kept, in minutes.
pub const KEPT_MINUTES: i64 = 30 * 24 * 60;
/// More samples than this are no use on any screen.
const MOST_SAMPLES: i64 = 720;

/// A stretch of time in which the service ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Sample {
    /// When the stretch began.
    pub at: Timestamp,
    /// Readings that waited at its end; in longer stretches at the worst of its minutes.
    pub pending: u64,
    /// Seconds since the oldest of them had come in; none with an empty queue.
    pub oldest_pending_age_s: Option<u64>,
    /// Readings uploaded in it.
    pub uploaded: u64,
    /// Seconds of it in which the Client System was out of reach.
    pub offline_s: u64,
}

impl Sample {
    /// The whole minutes since 1970 at which it began.
    pub fn minute(&self) -> i64 {
        minute_of(self.at)
    }

    fn absorb(&mut self, other: &Self) {
        self.pending = self.pending.max(other.pending);
        self.oldest_pending_age_s = self.oldest_pending_age_s.max(other.oldest_pending_age_s);
        self.uploaded += other.uploaded;
        self.offline_s += other.offline_s;
    }
}

/// The whole minutes since 1970 at a point in time.
pub fn minute_of(at: Timestamp) -> i64 {
    at.0.timestamp().div_euclid(MINUTE_S)
}

/// The beginning of a minute.
pub fn beginning_of(minute: i64) -> Timestamp {
    Timestamp(DateTime::from_timestamp(minute.saturating_mul(MINUTE_S), 0).unwrap_or_default())
}

/// Samples of one length. A stretch without one is a stretch in which the service did not run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct History {
    /// Where the first stretch begins.
    pub from: Timestamp,
    /// Where the last one ends.
    pub to: Timestamp,
    /// Seconds that a sample stands for.
    pub step_s: i64,
    /// The samples, the oldest first.
    pub samples: Vec<Sample>,
}

impl History {
    /// Of kept samples in ascending order, from the minute `first` to the minute `end`, which is not part of it. Neighbours
    /// become one where there would be too many.
    pub fn new(first: i64, end: i64, kept: &[Sample]) -> Self {
        let minutes = (end - first).max(1);
        let step = (minutes + MOST_SAMPLES - 1) / MOST_SAMPLES;
        // Steps begin at round times, so that two looks at the same hour show the same.
        let first = first.div_euclid(step) * step;
        let mut samples: Vec<Sample> = Vec::new();
        for sample in kept {
            let at = beginning_of(sample.minute().div_euclid(step) * step);
            match samples.last_mut() {
                Some(last) if last.at == at => last.absorb(sample),
                _ => samples.push(Sample { at, ..*sample }),
            }
        }
        Self {
            from: beginning_of(first),
            to: beginning_of(end),
            step_s: step * MINUTE_S,
            samples,
        }
    }
}

/// Seconds between `from` and `to` in which the link was down: by the `events` of that time, the newest first, and by what
/// it is now. Where those are all events since the process began, nothing is known of the time before the first that tells
/// of the link, and what is not known was no outage.
pub fn seconds_offline(
    events: &[Event],
    are_all: bool,
    from: Timestamp,
    to: Timestamp,
    is_down_now: bool,
) -> u64 {
    let is_of_link = |event: &&Event| matches!(event.kind, EventKind::Link { .. });
    let first = events.iter().rev().find(is_of_link).filter(|_| are_all);
    let from = first.map_or(from, |first| first.at.max(from));
    let (mut is_down, mut end, mut seconds) = (is_down_now, to, 0.0);
    for event in events {
        let EventKind::Link { change, .. } = event.kind else {
            continue;
        };
        if event.at >= end {
            continue;
        }
        let begin = event.at.max(from);
        if is_down {
            seconds += end.seconds_since(begin);
        }
        if event.at <= from {
            return whole(seconds);
        }
        end = begin;
        is_down = change == LinkChange::Connected;
    }
    if is_down {
        seconds += end.seconds_since(from);
    }
    whole(seconds)
}

fn whole(seconds: f64) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is a part of a minute"
    )]
    let whole = seconds.max(0.0).round() as u64;
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(minute: i64, pending: u64) -> Sample {
        Sample {
            at: beginning_of(minute),
            pending,
            oldest_pending_age_s: (pending > 0).then_some(pending),
            uploaded: 10,
            offline_s: 1,
        }
    }

    #[test]
    fn minutes_become_longer_stretches_where_there_are_many() {
        let day: Vec<Sample> = (0..1_440).map(|minute| sample(minute, 0)).collect();
        let history = History::new(0, 1_440, &day);
        assert_eq!((history.step_s, history.samples.len()), (120, 720));
        assert_eq!(history.samples[1].at, beginning_of(2));
        assert_eq!(history.samples[1].uploaded, 20);
        assert_eq!(history.samples[1].oldest_pending_age_s, None);
        let hour = History::new(60, 120, &day[60..120]);
        assert_eq!((hour.step_s, hour.samples.len()), (60, 60));
    }

    #[test]
    fn the_worst_minute_of_a_stretch_is_shown_and_gaps_stay() {
        let kept = [sample(0, 5), sample(1, 9), sample(5, 1)];
        let history = History::new(0, 1_440, &kept);
        let shown: Vec<_> = history
            .samples
            .iter()
            .map(|sample| sample.pending)
            .collect();
        assert_eq!(shown, [9, 1]);
        assert_eq!(history.samples[0].oldest_pending_age_s, Some(9));
        assert_eq!(history.samples[0].offline_s, 2);
    }

    fn link(second: i64, change: LinkChange) -> Event {
        Event {
            number: 0,
            at: Timestamp(DateTime::from_timestamp(second, 0).expect("a time")),
            kind: EventKind::Link {
                change,
                reason: None,
            },
        }
    }

    #[test]
    fn outages_within_a_minute_are_added_up() {
        use LinkChange::{Connected, Disconnected};
        let (from, to) = (beginning_of(1), beginning_of(2));
        let offline = |events: &[Event], now| seconds_offline(events, false, from, to, now);
        assert_eq!(offline(&[], false), 0);
        assert_eq!(offline(&[], true), 60);
        assert_eq!(offline(&[link(90, Disconnected)], true), 30);
        assert_eq!(offline(&[link(90, Connected)], false), 30);
        let twice = [
            link(110, Connected),
            link(100, Disconnected),
            link(70, Connected),
            link(10, Disconnected),
        ];
        assert_eq!(offline(&twice, false), 20);
        // What happens after its end is not this minute's.
        assert_eq!(offline(&[link(130, Disconnected)], true), 60);
        assert_eq!(offline(&[link(30, Connected)], false), 0);
    }

    #[test]
    fn before_the_first_word_of_the_link_there_was_no_outage() {
        use LinkChange::{Connected, Disconnected};
        let (from, to) = (beginning_of(1), beginning_of(2));
        let offline = |events: &[Event], now| seconds_offline(events, true, from, to, now);
        assert_eq!(offline(&[link(100, Connected)], false), 0);
        assert_eq!(offline(&[link(100, Disconnected)], true), 20);
        let later = [link(110, Connected), link(100, Disconnected)];
        assert_eq!(offline(&later, false), 10);
        assert_eq!(offline(&[link(30, Disconnected)], true), 60);
        assert_eq!(offline(&[], false), 0);
    }
}
