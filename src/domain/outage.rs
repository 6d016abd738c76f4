//! An outage that a restart of the service does not end.

use super::{
    history::{MINUTE_S, Sample, minute_of},
    timestamp::Timestamp,
};

/// Minutes without a sample that may lie within one outage: as long as a restart takes, or one of the machine.
pub const LONGEST_GAP: i64 = 10;

/// When the outage began that had not ended at the end of these samples, which are in ascending order and reach nearly to
/// now, to the minute; none where there was none.
pub fn under_way(samples: &[Sample], now: Timestamp) -> Option<Timestamp> {
    let (mut began, mut next) = (None, minute_of(now));
    for sample in samples.iter().rev() {
        let minute = sample.minute();
        if next - minute > LONGEST_GAP || sample.offline_s == 0 {
            break;
        }
        let offline = i64::try_from(sample.offline_s).map_or(MINUTE_S, |s| s.min(MINUTE_S));
        if began.is_some() && offline < MINUTE_S {
            // It began within this minute.
            return Some(Timestamp(
                sample.at.0 + chrono::TimeDelta::seconds(MINUTE_S - offline),
            ));
        }
        // The service may have ended within the newest minute.
        began = Some(sample.at);
        next = minute;
    }
    began
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::history::beginning_of;

    fn began(minutes: &[(i64, u64)], now: i64) -> Option<i64> {
        let sample = |(minute, offline_s): &(i64, u64)| Sample {
            at: beginning_of(*minute),
            pending: 1,
            oldest_pending_age_s: None,
            uploaded: 0,
            offline_s: *offline_s,
        };
        let samples: Vec<_> = minutes.iter().map(sample).collect();
        under_way(&samples, beginning_of(now)).map(|at| at.0.timestamp())
    }

    #[test]
    fn an_outage_is_followed_back_to_its_beginning() {
        assert_eq!(began(&[], 10), None);
        assert_eq!(began(&[(8, 0), (9, 0)], 10), None);
        assert_eq!(began(&[(7, 0), (8, 20), (9, 60)], 10), Some(8 * 60 + 40));
        assert_eq!(began(&[(7, 60), (8, 0), (9, 60)], 10), Some(9 * 60));
        // The service ended within the newest minute, and was away for some.
        assert_eq!(
            began(&[(1, 0), (2, 1), (3, 60), (4, 13)], 12),
            Some(2 * 60 + 59)
        );
        assert_eq!(began(&[(4, 13)], 4), Some(4 * 60));
        // For so long nobody knows what was.
        assert_eq!(began(&[(3, 60), (4, 60)], 15), None);
        assert_eq!(began(&[(1, 60), (20, 60), (21, 60)], 22), Some(20 * 60));
    }
}
