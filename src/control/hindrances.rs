//! What hinders a site without being a state of its own, from the same evidence.

use super::{
    status::{Evidence, Verdict},
    words::{self, Blemishes},
};
use crate::{
    domain::{
        link_probe::{BEARABLE_CLOCK_DIFFERENCE, LinkFault},
        pass::PassEnd,
        status::{ConfigStatus, HeartbeatStatus, State, UploadTrouble},
        store::StoreError,
        timestamp::Timestamp,
    },
    messages::api_client::RefusedCoding,
};

/// A batch that fails for longer than this needs attention: the first repetitions come after 2, 4, 8 and 16 s.
const SETBACK_SECONDS: f64 = 30.0;
/// Answers to uploads that take longer than this are worth a word; an answer that is slow and comes is none.
const ANSWER_SECONDS: f64 = 10.0;

impl Evidence {
    /// The heartbeat, where it fails and nothing else explains that, and since when. After an outage the first one tells.
    pub(super) fn failing_heartbeat(&self) -> Option<(&HeartbeatStatus, Timestamp)> {
        let since = self.heartbeat.failing_since?;
        let is_its_own = self.connectivity.is_connected && self.database.leads();
        // A clock that was set back makes no link younger than now.
        let up_since = self.connectivity.since.map(|up| up.min(self.now));
        let is_tried = self.heartbeat.last_attempt_at >= up_since;
        (is_its_own && is_tried).then_some((&self.heartbeat, since))
    }

    /// The configuration where the last download failed and nothing else explains that.
    fn failing_config(&self) -> Option<&ConfigStatus> {
        let is_its_own = self.connectivity.is_connected && self.database.leads();
        (is_its_own && self.config.last_error.is_some()).then_some(&self.config)
    }

    pub(super) fn blemishes<'a>(&'a self, upload: Option<&'a UploadTrouble>) -> Blemishes<'a> {
        Blemishes {
            heartbeat: self.failing_heartbeat().map(|(heartbeat, _)| heartbeat),
            config: self.failing_config(),
            upload,
            refused_coding: self.refused_coding(),
        }
    }

    /// A refusal whose time is over says nothing, though no upload has come since.
    fn refused_coding(&self) -> Option<&RefusedCoding> {
        let refused = self.api_client.refused_coding.as_ref();
        refused.filter(|refused| refused.until > self.now)
    }

    /// Since when passes fail, and why. A lock that is gone is no reason any more, though no pass has come since.
    pub(super) fn lasting_failure(&self) -> Option<&(PassEnd, Timestamp)> {
        let failure = self.manager.failing_since.as_ref()?;
        let ended_at = self.manager.last_pass.as_ref().map(|pass| pass.finished_at);
        let is_over = matches!(failure.0, PassEnd::DatabaseFailed { .. })
            && self.database.failing_since.is_none()
            && self
                .database
                .unlocked_at
                .is_some_and(|at| Some(at) >= ended_at);
        (!is_over).then_some(failure)
    }

    /// Why readings are not taken, as far as the uploading itself has met it.
    pub(super) fn upload_trouble(&self) -> Option<UploadTrouble> {
        let trouble = |words, since| Some(UploadTrouble { words, since });
        let manager = &self.manager;
        if let Some(pass) = &manager.current_pass {
            if let Some(setback) = &pass.setback {
                return trouble(setback.words.clone(), setback.since);
            }
            if pass.delivered > 0 {
                return None;
            }
        }
        if let Some((end, since)) = self.lasting_failure() {
            return trouble(end.describe(), *since);
        }
        let last = manager.last_pass.as_ref();
        let is_waiting = self.database.queue.pending > 0;
        if let Some(last) = last.filter(|last| is_waiting && last.delivered == 0)
            && let PassEnd::Held { .. } = last.end
        {
            return trouble(last.end.describe(), last.finished_at);
        }
        let pass = manager.current_pass.as_ref()?;
        let is_late = self.now.seconds_since(pass.started_at) > ANSWER_SECONDS
            && self.database.queue.in_flight > 0
            && !self.api_client.requests_are_scarce;
        is_late.then(|| UploadTrouble {
            words: words::unanswered(pass),
            since: pass.started_at,
        })
    }

    /// With everything that is told beside whatever the state is.
    pub(super) fn explained(&self, verdict: Verdict) -> Verdict {
        let verdict = self.with_clocks(self.with_other_trouble(verdict));
        let reason = words::with_certificate(verdict.reason, self.expiring.as_ref());
        Verdict { reason, ..verdict }
    }

    /// Why nothing is uploaded explains neither that readings cannot be stored meanwhile nor that a part of the service is down:
    /// the most severe of what else needs a person is told as well.
    pub(super) fn with_other_trouble(&self, verdict: Verdict) -> Verdict {
        if verdict.state > State::RateLimited {
            return verdict;
        }
        let of_the_site = self
            .database_failing_as_well()
            .or_else(|| Some(self.salvaged()?.1))
            .or_else(|| Some(self.replaced()?.1))
            .or_else(|| Some(self.actor_down()?.1))
            .or_else(|| Some(self.unsettled()?.1));
        let others = self.unreachable_as_well(&verdict).into_iter();
        let reason = others
            .chain(of_the_site)
            .fold(verdict.reason, |reason, other| {
                words::besides(&reason, &other)
            });
        Verdict { reason, ..verdict }
    }

    /// Whoever ends what is in the way before it does not find the way open.
    fn unreachable_as_well(&self, verdict: &Verdict) -> Option<String> {
        let link = &self.connectivity;
        (verdict.state < State::Offline && link.is_known_down())
            .then(|| words::unreachable_as_well(link.last_error.as_deref(), link.since))
    }

    fn database_failing_as_well(&self) -> Option<String> {
        let database = &self.database;
        let (words, _) = database.failing_since.as_ref()?;
        if database.is_damaged {
            return Some(words::damaged(words));
        }
        // That the disk is full was told with the readings that wait.
        let is_told = matches!(database.failure, Some(StoreError::Full(_)))
            && database.queue.disk_full_since.is_some();
        let remedy = database.failure.as_ref().map(StoreError::remedy);
        (!is_told).then(|| words::database_failing_as_well(words, remedy))
    }

    /// A batch that goes on failing needs attention, however many others are taken meanwhile.
    pub(super) fn lasting_setback(&self) -> Option<(Timestamp, String)> {
        let pass = self.manager.current_pass.as_ref()?;
        let setback = pass.setback.as_ref()?;
        // A pause at the Client System's wish is no failure of the batch.
        let counts_from = Some(setback.since).max(self.api_client.held_until);
        let lasts = self.now.seconds_since(counts_from?) > SETBACK_SECONDS;
        lasts.then(|| {
            let words = words::set_back(pass, setback, self.queue(), self.now, self.automatic);
            (setback.since, words)
        })
    }

    /// By how much the clocks differed at the last heartbeat, where that is more than bearable.
    fn clock_fault(&self) -> Option<LinkFault> {
        let (theirs, ours) = (self.heartbeat.server_time?, self.heartbeat.last_success_at?);
        let ahead_s = (theirs.0 - ours.0).num_seconds();
        (ahead_s.abs() > BEARABLE_CLOCK_DIFFERENCE)
            .then_some(LinkFault::ClockDiffers { ahead_s, now: ours })
    }

    /// A clock that is wrong spoils times in every state, and may be why there is no connection.
    pub(super) fn with_clocks(&self, verdict: Verdict) -> Verdict {
        match self.clock_fault() {
            Some(fault) => Verdict {
                reason: words::clocks_differ(&verdict.reason, &fault),
                ..verdict
            },
            None => verdict,
        }
    }
}
