//! Whether the Client System can be reached, and since when: the state machine behind the one truth.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::timestamp::Timestamp;

/// What a call to the Client System showed about the link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkEvidence {
    /// Something answered, whatever it said.
    Answered {
        /// The path that was called.
        call: &'static str,
        /// Why a Client System in order would not have said that; none where it may have.
        trouble: Option<String>,
        /// Whether the call showed the key and succeeded.
        proves_key: bool,
    },
    /// No connection came about.
    Unreachable(String),
    /// A connection stood, but no answer came in time; a health check has to decide.
    TimedOut(String),
}

/// A change of the link's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LinkChange {
    /// The Client System answers, whatever it says.
    Connected,
    /// The Client System does not answer any more.
    Disconnected,
}

/// What is known about the link. Unknown until the first evidence.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Link {
    connected: Option<bool>,
    changed_at: Option<Timestamp>,
    /// When the outage began that the service may have been started in.
    earlier_outage: Option<Timestamp>,
    /// How long that had lasted when it was found to last; nothing for any other.
    lasted_before_s: u64,
    last_check: Option<Timestamp>,
    last_success: Option<Timestamp>,
    last_failure: Option<Timestamp>,
    consecutive_failures: u32,
    last_error: Option<String>,
    /// What is wrong with the last answer to each call. Another call that is answered well says nothing about it.
    troubles: BTreeMap<&'static str, String>,
}

/// Only tries the key, and only while uploading pauses for it: no later call to the same path may ever come.
pub const AUTH: &str = "/sync/auth";

/// Calls whose failures are told with the parts that make them.
const TOLD_ELSEWHERE: [&str; 2] = ["/sync/heartbeat", "/sync/config"];

impl Link {
    /// Nothing is known yet; if it turns out to be down, it has been since then.
    pub fn after_outage(began: Option<Timestamp>) -> Self {
        Self {
            earlier_outage: began,
            ..Self::default()
        }
    }

    /// Whether the Client System answered last time; false while nothing is known.
    pub fn is_connected(&self) -> bool {
        self.connected == Some(true)
    }

    /// Whether the Client System is known not to answer.
    pub fn is_disconnected(&self) -> bool {
        self.connected == Some(false)
    }

    /// When something last answered.
    pub fn last_success(&self) -> Option<Timestamp> {
        self.last_success
    }

    /// Failures in a row.
    pub fn consecutive_failures(&self) -> u32 {
        self.consecutive_failures
    }

    /// The last error in words.
    pub fn last_error(&self) -> Option<&str> {
        self.last_error.as_deref()
    }

    /// What the last answers said that a Client System in order would not say. Of those that other parts tell of only where
    /// there is nothing else.
    pub fn trouble(&self) -> Option<String> {
        let (elsewhere, own): (Vec<_>, Vec<_>) = self
            .troubles
            .iter()
            .partition(|(call, _)| TOLD_ELSEWHERE.contains(call));
        let told = if own.is_empty() { elsewhere } else { own };
        let words: Vec<&str> = told.iter().map(|(_, words)| words.as_str()).collect();
        (!words.is_empty()).then(|| words.join(" and "))
    }

    /// The calls whose last answers a Client System in order would not have given.
    pub fn troubled_calls(&self) -> Vec<&'static str> {
        self.troubles.keys().copied().collect()
    }

    /// Takes evidence in; tells whether the state changed. A time-out alone changes nothing.
    pub fn observe(&mut self, evidence: &LinkEvidence, now: Timestamp) -> Option<LinkChange> {
        self.last_check = Some(now);
        match evidence {
            LinkEvidence::Answered {
                call,
                trouble,
                proves_key,
            } => {
                match trouble {
                    Some(words) => self.troubles.insert(*call, words.clone()),
                    None => self.troubles.remove(call),
                };
                if *proves_key {
                    self.troubles.remove(AUTH);
                }
                self.last_success = Some(now);
                self.consecutive_failures = 0;
                self.last_error = None;
                self.become_connected(true, now)
            }
            LinkEvidence::Unreachable(words) => {
                self.troubles.clear();
                self.last_failure = Some(now);
                self.consecutive_failures = self.consecutive_failures.saturating_add(1);
                self.last_error = Some(words.clone());
                self.become_connected(false, now)
            }
            LinkEvidence::TimedOut(words) => {
                self.last_error = Some(words.clone());
                None
            }
        }
    }

    fn become_connected(&mut self, connected: bool, now: Timestamp) -> Option<LinkChange> {
        if self.connected == Some(connected) {
            return None;
        }
        self.connected = Some(connected);
        let earlier = self.earlier_outage.take().filter(|_| !connected);
        let began = earlier.map_or(now, |began| began.min(now));
        self.changed_at = Some(began);
        self.lasted_before_s = now.whole_seconds_since(began);
        Some(if connected {
            LinkChange::Connected
        } else {
            LinkChange::Disconnected
        })
    }

    /// The shape that dashboards poll.
    pub fn status(
        &self,
        probed_url: &str,
        held_until: Option<Timestamp>,
        now: Timestamp,
    ) -> ConnectivityStatus {
        let lasted = self
            .changed_at
            .map_or(0, |since| now.whole_seconds_since(since));
        ConnectivityStatus {
            is_connected: self.is_connected(),
            last_check_time: self.last_check,
            last_successful_connection: self.last_success,
            last_failed_connection: self.last_failure,
            consecutive_failures: self.consecutive_failures,
            uptime: if self.is_connected() { lasted } else { 0 },
            downtime: if self.is_disconnected() { lasted } else { 0 },
            url: probed_url.to_owned(),
            last_error: self.last_error.clone(),
            trouble: self.trouble(),
            held_until,
            next_check_time: None,
            since: self.changed_at,
            lasted_before_s: self.lasted_before_s,
        }
    }
}

/// Connectivity as reported; names are the contract.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConnectivityStatus {
    /// Whether the Client System answered last time, whatever it said: `trouble` tells what, where it does not seem to be well.
    pub is_connected: bool,
    /// When the link was last judged.
    pub last_check_time: Option<Timestamp>,
    /// When something last answered, whatever it said.
    pub last_successful_connection: Option<Timestamp>,
    /// When a connection last failed.
    pub last_failed_connection: Option<Timestamp>,
    /// Failures in a row.
    pub consecutive_failures: u32,
    /// Whole seconds since the link came up; 0 while it is down.
    pub uptime: u64,
    /// Whole seconds since the link went down; 0 while it is up.
    pub downtime: u64,
    /// The address that is probed.
    pub url: String,
    /// The last error in words.
    pub last_error: Option<String>,
    /// What the last answer to some call said that a Client System in order would not say, such as 503 to a health check.
    #[serde(default)]
    pub trouble: Option<String>,
    /// Until when all calls wait at the Client System's wish.
    pub held_until: Option<Timestamp>,
    /// When the Client System is probed next unless it is heard of before.
    #[serde(default)]
    pub next_check_time: Option<Timestamp>,
    /// When the state last changed.
    #[serde(skip)]
    pub since: Option<Timestamp>,
    /// Seconds that the state had lasted when this process learned of it: of an outage that a restart did not end.
    #[serde(skip)]
    pub lasted_before_s: u64,
}

impl ConnectivityStatus {
    /// Before the first evidence nothing is known, which is not the same as an outage.
    pub fn is_known_down(&self) -> bool {
        !self.is_connected && self.consecutive_failures > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::{DateTime, TimeDelta};

    fn at(seconds: i64) -> Timestamp {
        Timestamp(DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds))
    }

    fn well(call: &'static str) -> LinkEvidence {
        LinkEvidence::Answered {
            call,
            trouble: None,
            proves_key: false,
        }
    }

    fn ill(call: &'static str, words: &str) -> LinkEvidence {
        LinkEvidence::Answered {
            call,
            trouble: Some(words.to_owned()),
            proves_key: false,
        }
    }

    #[test]
    fn whoever_takes_the_key_has_no_trouble_with_it_any_more() {
        let mut link = Link::default();
        let words = "it says 502 to /sync/auth (Bad Gateway)";
        let accepted = LinkEvidence::Answered {
            call: "/sync/readings/batch",
            trouble: None,
            proves_key: true,
        };
        link.observe(&ill(AUTH, words), at(0));
        link.observe(&ill("/health", "its health check says 503"), at(1));
        // Neither shows that the key is accepted.
        link.observe(&well("/health"), at(2));
        link.observe(&well("/sync/readings/batch"), at(3));
        assert_eq!(link.trouble().as_deref(), Some(words));
        link.observe(&accepted, at(4));
        assert_eq!(link.trouble(), None);
        // The same call as well, and of others it says nothing.
        link.observe(&ill(AUTH, words), at(5));
        link.observe(&ill("/health", "its health check says 503"), at(6));
        link.observe(&well(AUTH), at(7));
        assert_eq!(link.troubled_calls(), ["/health"]);
        link.observe(&accepted, at(8));
        assert_eq!(link.troubled_calls(), ["/health"]);
    }

    #[test]
    fn changes_are_told_once() {
        let mut link = Link::default();
        assert!(!link.is_connected() && !link.is_disconnected());
        assert_eq!(
            link.observe(&well("/health"), at(0)),
            Some(LinkChange::Connected)
        );
        assert_eq!(link.observe(&well("/health"), at(1)), None);
        assert_eq!(
            link.observe(&LinkEvidence::TimedOut("slow".into()), at(2)),
            None
        );
        assert!(link.is_connected());
        assert_eq!(
            link.observe(&LinkEvidence::Unreachable("refused".into()), at(3)),
            Some(LinkChange::Disconnected)
        );
        assert_eq!(
            link.observe(&LinkEvidence::Unreachable("refused".into()), at(4)),
            None
        );
        let status = link.status("http://x", None, at(10));
        assert_eq!(
            (status.downtime, status.uptime, status.consecutive_failures),
            (7, 0, 2)
        );
        assert_eq!(
            link.observe(&well("/health"), at(11)),
            Some(LinkChange::Connected)
        );
        let status = link.status("http://x", None, at(13));
        assert_eq!(
            (status.downtime, status.uptime, status.consecutive_failures),
            (0, 2, 0)
        );
    }

    #[test]
    fn an_answer_is_one_whatever_it_says_and_the_last_one_to_a_call_counts() {
        let mut link = Link::default();
        let words = "its health check says 503";
        assert_eq!(
            link.observe(&ill("/health", words), at(0)),
            Some(LinkChange::Connected)
        );
        assert_eq!(
            link.status("http://x", None, at(1)).trouble.as_deref(),
            Some(words)
        );
        // What is said to others is another matter.
        link.observe(&well("/sync/readings/batch"), at(2));
        link.observe(
            &ill("/sync/heartbeat", "it says 500 to /sync/heartbeat"),
            at(3),
        );
        assert_eq!(link.trouble().as_deref(), Some(words));
        assert_eq!(link.troubled_calls(), ["/health", "/sync/heartbeat"]);
        link.observe(&ill("/sync/readings/batch", "it says 502"), at(4));
        let both = "its health check says 503 and it says 502";
        assert_eq!(link.trouble().as_deref(), Some(both));
        link.observe(&well("/sync/readings/batch"), at(5));
        link.observe(&well("/health"), at(6));
        let heartbeat = "it says 500 to /sync/heartbeat";
        assert_eq!(link.trouble().as_deref(), Some(heartbeat));
        link.observe(&well("/sync/heartbeat"), at(7));
        assert_eq!(link.trouble(), None);
        link.observe(&ill("/health", words), at(8));
        let gone = LinkEvidence::Unreachable("refused".into());
        assert_eq!(link.observe(&gone, at(9)), Some(LinkChange::Disconnected));
        assert_eq!(link.trouble(), None, "nobody answers any more");
    }
}
