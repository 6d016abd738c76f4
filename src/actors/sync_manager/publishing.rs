//! What the sync manager tells of its passes and of the settings that they keep to.

use super::{SyncManager, kit::Limits};
use crate::{
    domain::{
        pass::{PassEnd, PassReport},
        status::Effective,
        timestamp::Timestamp,
    },
    messages::sync_manager::{Setback, SyncManagerSnapshot},
    supervision::published::Published,
};

impl SyncManager {
    pub(super) fn log_end(&self, report: &PassReport) {
        let PassReport {
            id,
            delivered,
            quarantined,
            failed,
            requests,
            ..
        } = *report;
        if report.end.is_success() {
            tracing::info!(
                pass = id,
                delivered,
                quarantined,
                requests,
                "a sync pass ended"
            );
        } else {
            let reason = report.end.describe();
            tracing::warn!(
                pass = id,
                delivered,
                quarantined,
                failed,
                requests,
                reason,
                "a sync pass ended early"
            );
        }
    }

    pub(super) fn publish_end(&self, report: &PassReport) {
        let success = report.end.is_success();
        self.parts.status.update(|status| {
            status.last_sync_time = Some(report.finished_at);
            status.last_sync_success = Some(success);
            status.last_sync_error = (!success).then(|| report.end.describe());
        });
        self.parts.published.update(|snapshot| {
            snapshot.current_pass = None;
            snapshot.last_pass = Some(report.clone());
            note_lasting_troubles(snapshot, report);
        });
    }

    pub(super) fn publish_settings(&self) {
        let (running, minutes) = (self.state.running, self.interval().as_secs() / 60);
        self.parts
            .status
            .update(|status| status.is_running = running);
        self.parts.published.update(|snapshot| {
            snapshot.running = running;
            snapshot.interval_minutes = minutes;
        });
        let (settings, wishes) = (self.parts.settings.get(), self.state.wishes);
        // Before they are told: who has read of them may count on them.
        self.state.limits.set(Limits {
            batch_size: self.batch_size(),
            batch_size_max: settings.batch_size_max.unwrap_or_else(|| self.batch_size()),
            max_in_flight: settings.max_in_flight,
            max_retries: settings.max_retries,
        });
        self.parts.config_status.update(|config| {
            config.sync_interval_minutes = Effective {
                value: minutes,
                pinned: settings.pinned_interval,
                wanted: wishes.sync_interval_minutes.map(u64::from),
            };
            config.batch_size = Effective {
                value: self.batch_size(),
                pinned: settings.pinned_batch_size,
                wanted: wishes.batch_size,
            };
        });
    }
}

/// The first one of a pass is worth a line in the log; its end tells the rest.
pub(super) fn note_setback(
    published: &Published<SyncManagerSnapshot>,
    pass: u64,
    setback: Option<Setback>,
) {
    let is_news = published.read(|snapshot| {
        let current = snapshot.current_pass.as_ref();
        current.is_some_and(|current| current.setback != setback)
    });
    if !is_news {
        return;
    }
    let mut before = None;
    published.update(|snapshot| {
        if let Some(current) = &mut snapshot.current_pass {
            before = std::mem::replace(&mut current.setback, setback.clone());
        }
    });
    if let (None, Some(setback)) = (before, setback) {
        let reason = setback.words;
        tracing::warn!(pass, reason, "an upload was not taken; it is repeated");
    }
}

/// Pauses and failures last over passes, with the time at which they began.
fn note_lasting_troubles(snapshot: &mut SyncManagerSnapshot, report: &PassReport) {
    let began = |earlier: Option<(PassEnd, Timestamp)>| {
        earlier.map_or(report.finished_at, |(_, since)| since)
    };
    match &report.end {
        PassEnd::Unauthorized { .. } | PassEnd::Misconfigured { .. } => {
            snapshot.pause = Some((report.end.clone(), began(snapshot.pause.take())));
        }
        PassEnd::GivenUp { .. } | PassEnd::DatabaseFailed { .. } | PassEnd::Interrupted { .. } => {
            snapshot.failing_since =
                Some((report.end.clone(), began(snapshot.failing_since.take())));
        }
        PassEnd::Drained => {
            snapshot.pause = None;
            snapshot.failing_since = None;
        }
        PassEnd::Stopped | PassEnd::Offline { .. } | PassEnd::Held { .. } => {}
    }
}
