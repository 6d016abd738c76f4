//! What the Client System has let know about being sent a content coding, and for how long that holds. Pure.

use chrono::TimeDelta;

use super::timestamp::Timestamp;

/// A refusal may come from something on the way, and a server may learn: it is believed for a day, which costs one request
/// more a day at most.
const REFUSAL_HOLDS: TimeDelta = TimeDelta::days(1);

/// Whether the Client System takes requests in a coding, and when it let know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodingVerdict {
    takes: bool,
    at: Timestamp,
}

impl CodingVerdict {
    /// What was let know now.
    pub fn new(takes: bool, at: Timestamp) -> Self {
        Self { takes, at }
    }

    /// What it says now; none once a refusal is too old to say anything.
    pub fn takes_at(self, now: Timestamp) -> Option<bool> {
        let is_in_force = self.takes || self.refused_until(now).is_some();
        is_in_force.then_some(self.takes)
    }

    /// Until when the coding is not tried again, while that is so.
    pub fn refused_until(self, now: Timestamp) -> Option<Timestamp> {
        // A clock that was set back must not turn a day into years.
        let is_recent = (now.0 - self.at.0).abs() < REFUSAL_HOLDS;
        (!self.takes && is_recent).then(|| Timestamp(self.at.0 + REFUSAL_HOLDS))
    }

    /// For keeping, with the one that it is about: the Client System's address and what the operator wanted. Another address
    /// is another server, and an operator who wants something else wants it tried.
    pub fn encode(self, about: &str) -> String {
        format!("{} {} {about}", self.takes, self.at)
    }

    /// What was kept, where it is about the same.
    pub fn decode(kept: &str, about: &str) -> Option<Self> {
        let mut parts = kept.splitn(3, ' ');
        let takes = parts.next()?.parse().ok()?;
        let at = Timestamp::parse_zoned(parts.next()?)?;
        (parts.next()? == about).then_some(Self { takes, at })
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    fn at(hours: i64) -> Timestamp {
        Timestamp(DateTime::UNIX_EPOCH + TimeDelta::days(20_000) + TimeDelta::hours(hours))
    }

    #[test]
    fn a_refusal_holds_for_a_day_and_an_offer_for_good() {
        let (refusal, offer) = (
            CodingVerdict::new(false, at(0)),
            CodingVerdict::new(true, at(0)),
        );
        for (hours, says, until) in [
            (0, Some(false), Some(at(24))),
            (23, Some(false), Some(at(24))),
            (24, None, None),
            (-23, Some(false), Some(at(24))),
            (-9_000, None, None),
        ] {
            assert_eq!(refusal.takes_at(at(hours)), says, "{hours}");
            assert_eq!(refusal.refused_until(at(hours)), until, "{hours}");
            assert_eq!(offer.takes_at(at(hours)), Some(true), "{hours}");
            assert_eq!(offer.refused_until(at(hours)), None, "{hours}");
        }
    }

    #[test]
    fn what_is_kept_is_about_one_address_and_one_wish() {
        let refusal = CodingVerdict::new(false, at(5));
        let kept = refusal.encode("https://client.example.com gzip");
        for (about, read) in [
            ("https://client.example.com gzip", Some(refusal)),
            ("https://client.example.com zstd", None),
            ("https://other.example.com gzip", None),
        ] {
            assert_eq!(CodingVerdict::decode(&kept, about), read, "{about}");
        }
        // As earlier versions kept it: it is found out once more.
        assert_eq!(CodingVerdict::decode("true", ""), None);
    }
}
