//! The certificate that the local API shows, where its end is near.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{finding::Finding, timestamp::Timestamp, words::counted};

/// Enough for a person to renew it; whatever renews certificates by itself has long done so by then.
const NEAR: TimeDelta = TimeDelta::days(14);
const SECONDS_OF_A_DAY: i64 = 24 * 3_600;

/// A certificate that clients will soon refuse, or refuse already.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ExpiringCertificate {
    /// Until when it is valid.
    pub expires_at: Timestamp,
    /// Whole days until then; negative where it has expired.
    pub days_left: i64,
}

impl ExpiringCertificate {
    /// None where there is time enough.
    pub fn of(expires_at: Timestamp, now: Timestamp) -> Option<Self> {
        let left = expires_at.0 - now.0;
        (left <= NEAR).then(|| Self {
            expires_at,
            // What ends now has ended.
            days_left: (left.num_seconds() - 1).div_euclid(SECONDS_OF_A_DAY),
        })
    }

    /// Whether it is refused already.
    pub fn has_expired(&self) -> bool {
        self.days_left < 0
    }

    /// What is wrong, what it means and what to do.
    pub fn finding(&self) -> Finding {
        let at = self.expires_at;
        let (what, from) = match u64::try_from(self.days_left) {
            Err(_) => (format!("has expired, at {at}"), "since then"),
            Ok(0) => (format!("expires within a day, at {at}"), "then"),
            Ok(days) => {
                let days = counted(days, "day", "days");
                (format!("expires in {days}, at {at}"), "then")
            }
        };
        Finding::new(
            format!("the certificate of the local API {what}"),
            format!(
                "dashboards, commands and whatever else looks at it refuse the service {from}; uploading goes on"
            ),
            "renew the file that LOCAL_TLS_CERT_FILE names, which is read again by itself",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_told_from_a_fortnight_before_on() {
        let expires = Timestamp(chrono::DateTime::UNIX_EPOCH + TimeDelta::days(100));
        let what = |left: TimeDelta| {
            let expiring = ExpiringCertificate::of(expires, Timestamp(expires.0 - left))?;
            Some(expiring.finding().what)
        };
        assert_eq!(what(TimeDelta::days(15)), None);
        for (left, said) in [
            (TimeDelta::days(14), "expires in 13 days, at 1970-04-11"),
            (TimeDelta::hours(25), "expires in 1 day, at"),
            (TimeDelta::hours(23), "expires within a day, at"),
            (TimeDelta::zero(), "has expired, at"),
            (TimeDelta::days(-3), "has expired, at 1970-04-11"),
        ] {
            let what = what(left).expect("it is near");
            assert!(what.contains(said), "{what}");
        }
    }
}
