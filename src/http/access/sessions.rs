//! People who have logged in. A bounded number of them, and none for ever; a restart of the service forgets them all.

use std::{collections::HashMap, fmt::Write, time::Duration};

use super::tokens::{Digest, digest};
use crate::domain::access::Grant;

/// Whoever has not been there for longest makes room for one more.
const MOST_SESSIONS: usize = 64;
/// A page that is open asks all the time.
const IDLE: Duration = Duration::from_secs(12 * 3_600);
/// After this, everybody has to log in again.
pub(in crate::http) const LONGEST: Duration = Duration::from_secs(30 * 24 * 3_600);

struct Session {
    grant: Grant,
    began: Duration,
    used: Duration,
}

impl Session {
    fn is_over(&self, now: Duration) -> bool {
        now.saturating_sub(self.used) > IDLE || now.saturating_sub(self.began) > LONGEST
    }
}

/// All sessions, by the digests of what browsers show.
#[derive(Default)]
pub(super) struct Sessions(HashMap<Digest, Session>);

impl Sessions {
    /// Begins one; answers with what is to be shown, which nobody can guess and which is not kept here.
    pub(super) fn begin(&mut self, grant: Grant, now: Duration) -> String {
        self.0.retain(|_, session| !session.is_over(now));
        if self.0.len() >= MOST_SESSIONS {
            let stalest = self.0.iter().min_by_key(|(_, session)| session.used);
            if let Some(stalest) = stalest.map(|(known, _)| *known) {
                self.0.remove(&stalest);
            }
        }
        let shown = rand::random::<[u8; 32]>()
            .iter()
            .fold(String::new(), |mut text, byte| {
                // Writing to a text cannot fail.
                let _ = write!(text, "{byte:02x}");
                text
            });
        let session = Session {
            grant,
            began: now,
            used: now,
        };
        self.0.insert(digest(shown.as_bytes()), session);
        shown
    }

    /// The session that is shown, which is used herewith.
    pub(super) fn find(&mut self, shown: &str, now: Duration) -> Option<(Digest, Grant)> {
        let known = digest(shown.as_bytes());
        self.is_open(&known, now).then_some(())?;
        self.0.get(&known).map(|session| (known, session.grant))
    }

    /// Whether a session goes on, which is used herewith.
    pub(super) fn is_open(&mut self, known: &Digest, now: Duration) -> bool {
        let Some(session) = self.0.get_mut(known) else {
            return false;
        };
        if session.is_over(now) {
            self.0.remove(known);
            return false;
        }
        session.used = now;
        true
    }

    /// Ends the session that is shown, if there is one.
    pub(super) fn end(&mut self, shown: &str) {
        self.0.remove(&digest(shown.as_bytes()));
    }

    /// Ends all of them.
    pub(super) fn end_all(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);

    #[test]
    fn sessions_end_when_they_are_not_used_and_at_last_in_any_case() {
        let mut sessions = Sessions::default();
        let shown = sessions.begin(Grant::Look, Duration::ZERO);
        assert_eq!(shown.len(), 64);
        assert!(sessions.find("something else", HOUR).is_none());
        for hours in 1..=720 {
            let found = sessions.find(&shown, HOUR * hours);
            assert_eq!(found.map(|(_, grant)| grant), Some(Grant::Look));
        }
        assert!(sessions.find(&shown, HOUR * 721).is_none());

        let shown = sessions.begin(Grant::Change, HOUR * 721);
        assert!(sessions.find(&shown, HOUR * 733).is_some());
        assert!(sessions.find(&shown, HOUR * 746).is_none());
        assert!(sessions.0.is_empty());
    }

    #[test]
    fn there_are_never_too_many() {
        let mut sessions = Sessions::default();
        let shown: Vec<String> = (0..200)
            .map(|second| sessions.begin(Grant::Look, Duration::from_secs(second)))
            .collect();
        assert_eq!(sessions.0.len(), MOST_SESSIONS);
        let now = Duration::from_secs(200);
        assert!(sessions.find(&shown[0], now).is_none());
        assert!(sessions.find(&shown[199], now).is_some());
        sessions.end(&shown[199]);
        assert!(sessions.find(&shown[199], now).is_none());
    }
}
