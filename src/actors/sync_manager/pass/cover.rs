//! How far a pass has to go for whoever waits for its end. Pure.
//!
//! A pass goes on until nothing is pending. Where readings come in faster than the link takes them that is never, so one that
//! somebody waits for ends once nothing is left of what was there when it was asked for.

use crate::domain::reading::ReadingId;

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cover {
    /// The newest reading that there was.
    until: Option<ReadingId>,
    is_complete: bool,
    has_looked_back: bool,
}

impl Cover {
    pub(super) fn is_asked(&self) -> bool {
        self.until.is_some()
    }

    /// Somebody waits; `newest` is the highest id by now.
    pub(super) fn ask(&mut self, newest: Option<ReadingId>) {
        self.until = Some(newest.unwrap_or(ReadingId::MIN));
    }

    /// A claim of the oldest readings that are pending began with this one. Ids grow with time, so nothing before it waits.
    pub(super) fn claimed(&mut self, oldest: Option<ReadingId>) {
        let is_beyond = self
            .until
            .zip(oldest)
            .is_some_and(|(until, oldest)| oldest > until);
        self.is_complete |= is_beyond;
    }

    /// Something older may have become pending again, or visible, behind the claims: then they go on, but only once, for what
    /// somebody else has locked stays. Returns whether they do; `oldest` is the lowest id that is pending.
    pub(super) fn look_back(&mut self, oldest: Option<ReadingId>) -> bool {
        let is_left = self
            .until
            .zip(oldest)
            .is_some_and(|(until, oldest)| oldest <= until);
        let goes_on = is_left && !self.has_looked_back;
        self.has_looked_back = true;
        self.is_complete &= !goes_on;
        goes_on
    }

    /// Whether all that was there then is claimed, and newer readings are pending, so that nothing more is claimed.
    pub(super) fn is_complete(&self) -> bool {
        self.is_complete
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_complete_once_the_oldest_is_newer_than_all_there_was() {
        let mut cover = Cover::default();
        cover.claimed(Some(900));
        assert!(!cover.is_complete(), "nobody waits");
        cover.ask(Some(1_000));
        for oldest in [Some(901), Some(1_000), None] {
            cover.claimed(oldest);
            assert!(cover.is_asked() && !cover.is_complete(), "{oldest:?}");
        }
        cover.claimed(Some(1_001));
        assert!(cover.is_complete());
    }

    #[test]
    fn what_is_left_behind_is_looked_for_once() {
        let mut cover = Cover::default();
        cover.ask(Some(1_000));
        cover.claimed(Some(1_001));
        assert!(cover.look_back(Some(700)) && !cover.is_complete());
        cover.claimed(Some(1_002));
        assert!(
            !cover.look_back(Some(700)) && cover.is_complete(),
            "it is locked"
        );
    }

    #[test]
    fn nothing_at_all_is_covered_by_the_first_reading_that_comes() {
        let mut cover = Cover::default();
        cover.ask(None);
        cover.claimed(Some(1));
        assert!(cover.is_complete());
    }
}
